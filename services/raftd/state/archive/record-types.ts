// The records of a snapshot whose rows the state keeps as documents: how each is known and what of
// it is secret.

import type { JsonObject } from "./forms.ts";

export interface DocumentRecord {
  readonly type: number;
  readonly kind: string;
  id(body: JsonObject): string;
  /** Top-level fields that go into the document's secret part. */
  readonly secrets: readonly string[];
  /** Fields that Consul's struct has, so that an older reader finds all of them. */
  readonly fields: JsonObject;
}

const by = (field: string) => (body: JsonObject) => String(body[field] ?? "");
const always = (id: string) => () => id;

/** In the order in which Consul writes them. */
export const documentRecords: readonly DocumentRecord[] = [
  {
    type: 17,
    kind: "acl-token",
    id: by("AccessorID"),
    secrets: ["SecretID"],
    fields: {
      AuthMethod: "",
      CreateTime: "0001-01-01T00:00:00Z",
      Description: "",
      ExpirationTTL: "0s",
      ExpirationTime: null,
      Hash: "",
      Local: false,
      NodeIdentities: null,
      Policies: null,
      Roles: null,
      ServiceIdentities: null,
    },
  },
  {
    type: 19,
    kind: "acl-policy",
    id: by("ID"),
    secrets: [],
    fields: { Datacenters: null, Description: "", Hash: "", Name: "", Rules: "" },
  },
  {
    type: 23,
    kind: "acl-role",
    id: by("ID"),
    secrets: [],
    fields: {
      Description: "",
      Hash: "",
      Name: "",
      NodeIdentities: null,
      Policies: null,
      ServiceIdentities: null,
    },
  },
  {
    type: 25,
    kind: "acl-binding-rule",
    id: by("ID"),
    secrets: [],
    fields: { AuthMethod: "", BindName: "", BindType: "", Description: "", Selector: "" },
  },
  {
    type: 27,
    kind: "acl-auth-method",
    id: by("Name"),
    secrets: [],
    fields: {
      Config: null,
      Description: "",
      DisplayName: "",
      MaxTokenTTL: "0s",
      TokenLocality: "",
      Type: "",
    },
  },
  {
    type: 7,
    kind: "prepared-query",
    id: by("ID"),
    secrets: ["Token"],
    fields: { DNS: { TTL: "" }, Name: "", Service: {}, Session: "", Template: {}, Token: "" },
  },
  {
    type: 9,
    kind: "autopilot-config",
    id: always("autopilot"),
    secrets: [],
    fields: {
      CleanupDeadServers: true,
      DisableUpgradeMigration: false,
      LastContactThreshold: "200ms",
      MaxTrailingLogs: 250,
      MinQuorum: 0,
      RedundancyZoneTag: "",
      ServerStabilizationTime: "10s",
      UpgradeVersionTag: "",
    },
  },
  { type: 12, kind: "intention", id: by("ID"), secrets: [], fields: {} },
  {
    type: 13,
    kind: "ca-root",
    id: by("ID"),
    secrets: ["SigningKey"],
    fields: {
      Active: false,
      ExternalTrustDomain: "",
      IntermediateCerts: null,
      PrivateKeyBits: 0,
      PrivateKeyType: "",
      RotatedOutAt: "0001-01-01T00:00:00Z",
      SigningCert: "",
      SigningKey: "",
    },
  },
  {
    type: 14,
    kind: "ca-provider-state",
    id: by("ID"),
    secrets: ["PrivateKey"],
    fields: { IntermediateCert: "", PrivateKey: "", RootCert: "" },
  },
  {
    type: 15,
    kind: "ca-config",
    id: always("ca-config"),
    secrets: [],
    fields: {
      ClusterID: "",
      Config: null,
      ForceWithoutCrossSigning: false,
      Provider: "",
      State: null,
    },
  },
  { type: 30, kind: "federation-state", id: by("Datacenter"), secrets: [], fields: {} },
  { type: 31, kind: "system-metadata", id: by("Key"), secrets: [], fields: { Value: "" } },
];

/** Tables that other parts of Curia read by their own means; kept byte for byte. */
export const peeringKinds: Readonly<Record<number, string>> = {
  35: "peering",
  38: "peering-trust-bundle",
  40: "peering-secrets",
};

export const recordNames: Readonly<Record<number, string>> = {
  0: "Register",
  2: "KVS",
  3: "Session",
  5: "Tombstone",
  6: "CoordinateBatchUpdate",
  7: "PreparedQuery",
  9: "Autopilot",
  12: "Intention",
  13: "ConnectCA",
  14: "ConnectCAProviderState",
  15: "ConnectCAConfig",
  16: "Index",
  17: "ACLToken",
  19: "ACLPolicy",
  22: "ConfigEntry",
  23: "ACLRole",
  25: "ACLBindingRule",
  27: "ACLAuthMethod",
  29: "ChunkingState",
  30: "FederationState",
  31: "SystemMetadata",
  32: "ServiceVirtualIP",
  33: "FreeVirtualIP",
  35: "Peering",
  38: "PeeringTrustBundle",
  40: "PeeringSecrets",
  42: "ResourceOperation",
};
