// What the agent's own API shows of its services, its checks and itself (spec: http-api 5.2-5.4).

import type { AgentService, Check, Coordinate, Member, Service } from "#proto/messages.js";
import { renderProxy, toJson } from "../bodies/proxy.ts";
import { readJson } from "../json-reader.ts";
import { type Json, type JsonFields, mapOf } from "../json-writer.ts";
import { renderAddresses, renderWeights } from "./catalog.ts";
import { renderMember, renderVector } from "./rows.ts";

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");

export function renderAgentService(
  { service }: AgentService,
  datacenter: string,
  contentHash?: string,
): JsonFields {
  const own = service!;
  const isProxy = own.kind !== "" || own.proxyJson.length > 0;
  return {
    Kind: own.kind || undefined,
    ID: own.id,
    Service: own.service,
    Tags: own.tags,
    Meta: mapOf(own.meta),
    Port: own.port,
    Address: own.address,
    SocketPath: own.socketPath || undefined,
    TaggedAddresses: renderAddresses(own),
    Weights: renderWeights(own),
    EnableTagOverride: own.enableTagOverride,
    ContentHash: contentHash,
    Proxy: isProxy ? renderProxy(own.proxyJson, "agent") : undefined,
    Connect: isNative(own) ? { Native: true } : undefined,
    PeerName: own.peerName || undefined,
    Datacenter: datacenter,
    Locality: own.localityJson.length === 0
      ? undefined
      : toJson(readJson(textOf(own.localityJson))),
  };
}

function isNative(service: Service): boolean {
  return textOf(service.connectJson).includes('"Native":true');
}

/** The few fields of a check that agent/health shows; its definition is always blank. */
export function renderAgentHealthCheck(check: Check): JsonFields {
  return {
    Node: check.node,
    CheckID: check.checkId,
    Name: check.name,
    Status: check.status,
    Notes: check.notes,
    Output: check.output,
    ServiceID: check.serviceId,
    ServiceName: check.serviceName,
    ServiceTags: check.serviceTags.length === 0 ? null : check.serviceTags,
    Type: "",
    ExposedPort: 0,
    Definition: {
      Interval: "0s",
      Timeout: "0s",
      DeregisterCriticalServiceAfter: "0s",
      HTTP: "",
      Header: null,
      Method: "",
      Body: "",
      TLSServerName: "",
      TLSSkipVerify: false,
      TCP: "",
      TCPUseTLS: false,
      UDP: "",
      GRPC: "",
      OSService: "",
      GRPCUseTLS: false,
    },
    CreateIndex: 0,
    ModifyIndex: 0,
  };
}

export type Aggregate = "passing" | "warning" | "critical" | "maintenance" | "";

export const aggregateStatus: Record<Aggregate, number> = {
  passing: 200,
  warning: 429,
  critical: 503,
  maintenance: 503,
  "": 503,
};

/** The worst of the checks; maintenance outranks them all. */
export function aggregate(checks: readonly Check[]): Aggregate {
  let worst: Aggregate = "passing";
  for (const { checkId, status } of checks) {
    if (checkId === "_node_maintenance" || checkId.startsWith("_service_maintenance:")) {
      return "maintenance";
    }
    if (status === "critical") worst = "critical";
    else if (status === "warning") worst = worst === "critical" ? worst : "warning";
    else if (status !== "passing") return "";
  }
  return worst;
}

export interface SelfFacts {
  datacenter: string;
  primaryDatacenter: string;
  node: string;
  nodeId: string;
  isServer: boolean;
  version: string;
  meta: Record<string, string>;
  debugConfig: Json;
  coordinate: Coordinate | undefined;
  member: Member | undefined;
  stats: Record<string, Record<string, string>>;
  grpcPorts: { plaintext: number; tls: number };
}

const envoyVersions = ["1.34.1", "1.33.2", "1.32.5", "1.31.8"];

export function renderSelf(facts: SelfFacts): JsonFields {
  const { plaintext, tls } = facts.grpcPorts;
  const hasGrpc = plaintext > 0 || tls > 0;
  return {
    Config: {
      Datacenter: facts.datacenter,
      PrimaryDatacenter: facts.primaryDatacenter,
      NodeName: facts.node,
      NodeID: facts.nodeId,
      Revision: "",
      Server: facts.isServer,
      Version: facts.version,
      BuildDate: "1970-01-01T00:00:01Z",
    },
    DebugConfig: facts.debugConfig,
    Coord: facts.coordinate === undefined ? null : renderVector(facts.coordinate),
    Member: facts.member === undefined ? null : renderMember(facts.member),
    Stats: new Map(Object.entries(facts.stats).map(([name, of]) => [name, mapOf(of)])),
    Meta: mapOf({
      ...facts.meta,
      "consul-network-segment": "",
      "consul-version": facts.version,
    }),
    xDS: hasGrpc
      ? {
        SupportedProxies: { envoy: envoyVersions },
        Port: tls > 0 ? tls : plaintext,
        Ports: { Plaintext: Math.max(0, plaintext), TLS: Math.max(0, tls) },
      }
      : undefined,
  };
}
