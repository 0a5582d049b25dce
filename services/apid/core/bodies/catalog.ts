// What catalog/register, catalog/deregister and transactions say of nodes, services and checks,
// turned into the rows of the bus.

import type { CheckInput, NodeInput, ServiceInput } from "#proto/messages.js";
import { formatDuration } from "#shared/consul/duration.ts";
import {
  any,
  bool,
  duration,
  type Fields,
  int,
  isZero,
  list,
  map,
  object,
  type Schema,
  text,
  uint64,
} from "../json-schema.ts";
import { type Json, Raw, writeJson } from "../json-writer.ts";
import { encodeProxy, proxySchema, prune } from "./proxy.ts";

const locality = object("Locality", { fields: { Region: text, Zone: text } });
const serviceAddress = object("ServiceAddress", { fields: { Address: text, Port: int } });
const weights = object("Weights", { fields: { Passing: int, Warning: int } });
const indexes = { CreateIndex: uint64, ModifyIndex: uint64 };

/** The nested part of a service that tells whether it speaks the mesh's protocol itself. Unknown
 *  keys in it are dropped, as Consul does. */
export const connectSchema = object("ServiceConnect", {
  fields: { Native: bool, SidecarService: any },
  aliases: { sidecar_service: "SidecarService" },
  lenient: true,
});

export const nodeServiceSchema: Schema = object("NodeService", {
  fields: {
    Kind: text,
    ID: text,
    Service: text,
    Tags: list(text),
    Address: text,
    TaggedAddresses: map(serviceAddress),
    Meta: map(text),
    Port: int,
    SocketPath: text,
    Weights: weights,
    EnableTagOverride: bool,
    Locality: locality,
    Proxy: proxySchema,
    Connect: connectSchema,
    PeerName: text,
    ...indexes,
  },
  aliases: { tagged_addresses: "TaggedAddresses", enable_tag_override: "EnableTagOverride" },
});

/** A check's definition as the catalog keeps it; unknown keys are dropped. */
export const definitionSchema: Schema = object("HealthCheckDefinition", {
  fields: {
    HTTP: text,
    TLSServerName: text,
    TLSSkipVerify: bool,
    Header: map(list(text)),
    Method: text,
    Body: text,
    DisableRedirects: bool,
    TCP: text,
    TCPUseTLS: bool,
    UDP: text,
    H2PING: text,
    H2PingUseTLS: bool,
    OSService: text,
    Interval: duration,
    OutputMaxSize: int,
    Timeout: duration,
    DeregisterCriticalServiceAfter: duration,
    ScriptArgs: list(text),
    DockerContainerID: text,
    Shell: text,
    GRPC: text,
    GRPCUseTLS: bool,
    AliasNode: text,
    AliasService: text,
    TTL: duration,
  },
  lenient: true,
});

export const healthCheckSchema: Schema = object("HealthCheck", {
  fields: {
    Node: text,
    CheckID: text,
    Name: text,
    Status: text,
    Notes: text,
    Output: text,
    ServiceID: text,
    ServiceName: text,
    ServiceTags: list(text),
    Type: text,
    Interval: text,
    Timeout: text,
    ExposedPort: int,
    Definition: definitionSchema,
    PeerName: text,
    ...indexes,
  },
});

export const registerSchema: Schema = object("RegisterRequest", {
  fields: {
    Datacenter: text,
    ID: text,
    Node: text,
    Address: text,
    TaggedAddresses: map(text),
    NodeMeta: map(text),
    Locality: locality,
    Service: nodeServiceSchema,
    Check: healthCheckSchema,
    Checks: list(healthCheckSchema),
    SkipNodeUpdate: bool,
    PeerName: text,
    WriteRequest: any,
  },
});

export const deregisterSchema: Schema = object("DeregisterRequest", {
  fields: { Datacenter: text, Node: text, ServiceID: text, CheckID: text, PeerName: text },
  ignored: ["Address"],
});

export const txnNodeSchema: Schema = object("Node", {
  fields: {
    ID: text,
    Node: text,
    Address: text,
    Datacenter: text,
    TaggedAddresses: map(text),
    Meta: map(text),
    Locality: locality,
    PeerName: text,
    ...indexes,
  },
});

const str = (value: unknown): string => (value ?? "") as string;
const strings = (value: unknown): Record<string, string> => (value ?? {}) as Record<string, string>;

export function localityBytes(value: unknown): Uint8Array {
  return value === undefined ? new Uint8Array(0) : Buffer.from(writeJson(value as Json));
}

export function nodeRow(fields: Fields, metaField: "NodeMeta" | "Meta"): NodeInput {
  return {
    id: str(fields.ID),
    node: str(fields.Node),
    address: str(fields.Address),
    datacenter: str(fields.Datacenter),
    taggedAddresses: strings(fields.TaggedAddresses),
    meta: strings(fields[metaField]),
    peerName: str(fields.PeerName),
    localityJson: localityBytes(fields.Locality),
    hasTaggedAddresses: fields.TaggedAddresses !== undefined,
    hasMeta: fields[metaField] !== undefined,
    modifyIndex: Number(fields.ModifyIndex ?? 0n),
  };
}

export function serviceRow(fields: Fields): ServiceInput {
  const connect = fields.Connect as Fields | undefined;
  const weight = fields.Weights as { Passing?: number; Warning?: number } | undefined;
  return {
    kind: str(fields.Kind),
    id: str(fields.ID),
    service: str(fields.Service),
    tags: (fields.Tags ?? []) as string[],
    address: str(fields.Address),
    port: (fields.Port ?? 0) as number,
    socketPath: str(fields.SocketPath),
    taggedAddresses: addressRows(fields.TaggedAddresses),
    meta: strings(fields.Meta),
    weights: weight === undefined
      ? null
      : { passing: weight.Passing ?? 0, warning: weight.Warning ?? 0 },
    enableTagOverride: fields.EnableTagOverride === true,
    proxyJson: encodeProxy(fields.Proxy as Fields | undefined),
    connectJson: connect?.Native === true ? Buffer.from('{"Native":true}') : new Uint8Array(0),
    localityJson: localityBytes(fields.Locality),
    peerName: str(fields.PeerName),
    hasMeta: fields.Meta !== undefined,
    hasTags: fields.Tags !== undefined,
    modifyIndex: Number(fields.ModifyIndex ?? 0n),
  };
}

export function addressRows(value: unknown): Record<string, { address: string; port: number }> {
  const out: Record<string, { address: string; port: number }> = {};
  for (const [name, at] of Object.entries((value ?? {}) as Record<string, Fields>)) {
    out[name] = { address: str(at.Address), port: (at.Port ?? 0) as number };
  }
  return out;
}

export function checkRow(fields: Fields): CheckInput {
  return {
    node: str(fields.Node),
    checkId: str(fields.CheckID),
    name: str(fields.Name),
    status: str(fields.Status),
    notes: str(fields.Notes),
    output: str(fields.Output),
    serviceId: str(fields.ServiceID),
    serviceName: str(fields.ServiceName),
    serviceTags: (fields.ServiceTags ?? []) as string[],
    type: str(fields.Type),
    interval: str(fields.Interval),
    timeout: str(fields.Timeout),
    exposedPort: (fields.ExposedPort ?? 0) as number,
    peerName: str(fields.PeerName),
    definitionJson: definitionBytes(fields.Definition as Fields | undefined),
    modifyIndex: Number(fields.ModifyIndex ?? 0n),
  };
}

const definitionDurations = ["Interval", "Timeout", "DeregisterCriticalServiceAfter"];

/** The definition as Consul shows it: durations as text, but TTL in nanoseconds. */
function definitionBytes(fields: Fields | undefined): Uint8Array {
  if (fields === undefined) return new Uint8Array(0);
  const shown: Fields = { ...fields };
  for (const name of definitionDurations) {
    const ns = fields[name] as bigint | undefined;
    shown[name] = isZero(ns) ? undefined : formatDuration(ns!);
  }
  const header = fields.Header as Record<string, string[]> | undefined;
  const pruned = prune({ ...shown, Header: undefined });
  const out: Record<string, Json> = {};
  for (const [key, value] of Object.entries(pruned ?? {})) out[key] = value;
  if (header !== undefined) out.Header = new Raw(writeJson(new Map(Object.entries(header))));
  return Object.keys(out).length === 0 ? new Uint8Array(0) : Buffer.from(writeJson(out));
}
