// What the answers read: a watched copy of the catalog. A lookup that the copy cannot serve says
// what must be fetched first; the shell fetches it and asks again.

import type { ErrorCode } from "#shared/errors.ts";
import type { ClientSubnet } from "./message.ts";
import type { ResourceRecord } from "./records/records.ts";

// Rows have the shape of proto/catalog.proto: those of the state are used as they are.

export interface NodeRow {
  node: string;
  address: string;
  /** Empty for a node of a peer. */
  datacenter: string;
  taggedAddresses: Record<string, string>;
  meta: Record<string, string>;
  peerName: string;
}

export interface ServiceRow {
  node: string;
  id: string;
  service: string;
  kind: string;
  tags: string[];
  address: string;
  port: number;
  taggedAddresses: Record<string, { address: string; port: number }>;
  meta: Record<string, string>;
  weights: { passing: number; warning: number } | null;
  peerName: string;
  /** Consul's Proxy and Connect objects as JSON; empty when there is none. */
  proxyJson: Uint8Array;
  connectJson: Uint8Array;
}

export interface CheckRow {
  node: string;
  checkId: string;
  status: string;
  /** Empty for a check of the node. */
  serviceId: string;
  peerName: string;
}

export interface Instance {
  node: NodeRow;
  service: ServiceRow;
  /** The node's checks and the instance's own. */
  checks: CheckRow[];
}

/** Where a name is looked up: a peer hides the datacenter. */
export interface Place {
  datacenter: string;
  peer: string;
}

/** What must be fetched before the question can be answered. */
export type Need =
  | { kind: "upstream"; name: string }
  | { kind: "instances"; place: Place; service: string; connect: boolean }
  | { kind: "node"; place: Place; node: string }
  | { kind: "prepared-query"; name: string; datacenter: string; origin: QueryOrigin };

export type Lookup<T> =
  | { kind: "found"; rows: T }
  | { kind: "wait"; need: Need }
  | { kind: "failed"; code: ErrorCode };

/** Who asks, for queries sorted by distance. */
export interface QueryOrigin {
  clientAddress: string;
  subnet: ClientSubnet | undefined;
}

export interface QueryResult {
  service: string;
  datacenter: string;
  instances: Instance[];
  /** Nearest first: the order is kept. */
  isSorted: boolean;
  /** Undefined: the TTL of the service holds. */
  ttlSeconds: number | undefined;
}

export interface View {
  /** Names are compared without regard to case, here and below. */
  node(name: string, place: Place): Lookup<NodeRow | undefined>;
  instances(service: string, place: Place): Lookup<Instance[]>;
  /** Mesh-capable instances of the service: its proxies and native ones. */
  connectInstances(service: string, place: Place): Lookup<Instance[]>;
  ingressInstances(service: string, place: Place): Lookup<Instance[]>;
  virtualIp(service: string, peer: string): Lookup<string | undefined>;
  /** Of the local datacenter, without peers. */
  nodeWithAddress(ip: string): Lookup<NodeRow | undefined>;
  serviceWithAddress(ip: string): Lookup<ServiceRow | undefined>;
  preparedQuery(
    nameOrId: string,
    datacenter: string,
    origin: QueryOrigin,
  ): Lookup<QueryResult | undefined>;
  /** What a recursor says of a name outside our domains: its A records and the CNAMEs to them. */
  upstream(name: string): Lookup<ResourceRecord[]>;
}

/** How fresh the view is. */
export interface Contact {
  /** False before the first complete view. */
  complete: boolean;
  /** Since when no word came from the server that feeds the view; 0 while it speaks. */
  silentMs: number;
  knownLeader: boolean;
  /** How old the feeding server's own contact with its leader is. */
  lastContactMs: number;
}
