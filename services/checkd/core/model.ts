// What checkd holds: the catalog's rows of this node, and how each came to be.

import type { CheckDefinition } from "#shared/config/definitions.ts";

/** Where a registration came from: decides which scripts may run and whether it is kept on disk. */
export type Source = "local" | "remote";

export interface ServiceAddress {
  address: string;
  port: number;
}

export interface NodeRow {
  id: string;
  node: string;
  address: string;
  datacenter: string;
  taggedAddresses: Record<string, string>;
  meta: Record<string, string>;
  /** JSON text or empty. */
  localityJson: string;
}

export interface ServiceRow {
  kind: string;
  id: string;
  service: string;
  /** Order counts. */
  tags: string[];
  address: string;
  port: number;
  socketPath: string;
  taggedAddresses: Record<string, ServiceAddress>;
  meta: Record<string, string>;
  weights: { passing: number; warning: number };
  enableTagOverride: boolean;
  /** Consul's objects as JSON text; empty when there is none. */
  proxyJson: string;
  connectJson: string;
  localityJson: string;
}

export interface CheckRow {
  checkId: string;
  name: string;
  status: string;
  notes: string;
  output: string;
  serviceId: string;
  serviceName: string;
  serviceTags: string[];
  type: string;
  /** Go durations as shown: "" or "0s" when there is none. */
  interval: string;
  timeout: string;
}

/** A service as it was asked for, before defaults. */
export interface ServiceRegistration {
  service: ServiceRow;
  checks: CheckDefinition[];
  token: string;
  sidecar: ServiceRegistration | null;
}

/** What the catalog holds of this node. */
export interface CatalogView {
  node: NodeRow | null;
  services: ServiceRow[];
  checks: CheckRow[];
}

/** Where a row stands against the catalog. `unknown` waits for the next comparison, `dirty` is
 *  pushed at once. */
export type SyncState = "unknown" | "dirty" | "synced";

export const serviceOfServers = "consul";
export const serfHealth = "serfHealth";
export const nodeMaintenance = "_node_maintenance";

export function serviceMaintenance(serviceId: string): string {
  return `_service_maintenance:${serviceId}`;
}

export function sidecarId(serviceId: string): string {
  return `${serviceId}-sidecar-proxy`;
}

export function isStatus(status: string): boolean {
  return status === "passing" || status === "warning" || status === "critical";
}

export function emptyService(): ServiceRow {
  return {
    kind: "",
    id: "",
    service: "",
    tags: [],
    address: "",
    port: 0,
    socketPath: "",
    taggedAddresses: {},
    meta: {},
    weights: { passing: 1, warning: 1 },
    enableTagOverride: false,
    proxyJson: "",
    connectJson: "",
    localityJson: "",
  };
}

export function emptyCheck(): CheckDefinition {
  return {
    id: "",
    name: "",
    notes: "",
    serviceId: "",
    token: "",
    status: "",
    args: [],
    http: "",
    method: "",
    header: {},
    body: "",
    disableRedirects: false,
    tcp: "",
    tcpUseTls: false,
    udp: "",
    grpc: "",
    grpcUseTls: false,
    h2ping: "",
    h2pingUseTls: true,
    dockerContainerId: "",
    shell: "",
    aliasService: "",
    aliasNode: "",
    osService: "",
    tlsServerName: "",
    tlsSkipVerify: false,
    intervalMs: 0,
    timeoutMs: 0,
    ttlMs: 0,
    outputMaxSize: 0,
    successBeforePassing: 0,
    failuresBeforeWarning: 0,
    failuresBeforeCritical: 0,
    deregisterCriticalServiceAfterMs: 0,
  };
}
