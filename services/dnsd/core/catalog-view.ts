// The View over the catalog in memory, and over what was fetched for this one question.

import type { ErrorCode } from "#shared/errors.ts";
import type { Catalog } from "./catalog.ts";
import { formatIp, parseIp } from "./ip.ts";
import { runPreparedQuery } from "./prepared-query.ts";
import type { ResourceRecord } from "./records/records.ts";
import type {
  Instance,
  Lookup,
  Need,
  NodeRow,
  Place,
  QueryOrigin,
  QueryResult,
  ServiceRow,
  View,
} from "./view.ts";

/** What came of one need. */
export type Fetched =
  | { kind: "records"; records: ResourceRecord[] }
  | { kind: "instances"; instances: Instance[] }
  | { kind: "node"; node: NodeRow | undefined }
  | { kind: "prepared-query"; result: QueryResult | undefined }
  | { kind: "failed"; code: ErrorCode };

/** Equal needs of one question are fetched once. */
export function needKey(need: Need): string {
  return JSON.stringify(need, (_, value) => value instanceof Uint8Array ? [...value] : value);
}

export type FetchedRows = ReadonlyMap<string, Fetched>;

export const nothingFetched: FetchedRows = new Map();

export class CatalogView implements View {
  readonly #catalog: Catalog;
  readonly #datacenter: string;
  readonly #fetched: FetchedRows;

  constructor(catalog: Catalog, datacenter: string, fetched: FetchedRows) {
    this.#catalog = catalog;
    this.#datacenter = datacenter;
    this.#fetched = fetched;
  }

  node(name: string, place: Place): Lookup<NodeRow | undefined> {
    if (this.#holds(place)) return found(this.#catalog.node(place.peer, name));
    return this.#fetch(
      { kind: "node", place, node: name },
      (got) => got.kind === "node" ? found(got.node) : undefined,
    );
  }

  instances(service: string, place: Place): Lookup<Instance[]> {
    if (this.#holds(place)) return found(this.#catalog.instances(place.peer, service));
    return this.#fetchInstances(service, place, false);
  }

  connectInstances(service: string, place: Place): Lookup<Instance[]> {
    if (this.#holds(place)) return found(this.#catalog.connectInstances(place.peer, service));
    return this.#fetchInstances(service, place, true);
  }

  /** Gateways whose configuration entry lists the service, or all services by a wildcard. */
  ingressInstances(service: string, place: Place): Lookup<Instance[]> {
    if (!this.#holds(place)) return { kind: "failed", code: "unimplemented" };
    const instances: Instance[] = [];
    for (const entry of this.#catalog.documents("config-entry") as Iterable<ConfigEntry>) {
      if (entry.Kind !== "ingress-gateway" || !exposes(entry, service)) continue;
      for (const instance of this.#catalog.instances("", entry.Name ?? "")) {
        if (instance.service.kind === "ingress-gateway") instances.push(instance);
      }
    }
    return found(instances);
  }

  virtualIp(service: string, peer: string): Lookup<string | undefined> {
    for (const row of this.#catalog.documents("service-virtual-ip") as Iterable<VirtualIpRow>) {
      const name = row.Service?.ServiceName?.Name || row.Service?.Name || "";
      if (name.toLowerCase() !== service || (row.Service?.Peer ?? "") !== peer) continue;
      return found(virtualAddress(row.IP ?? ""));
    }
    return found(undefined);
  }

  nodeWithAddress(ip: string): Lookup<NodeRow | undefined> {
    return found(this.#catalog.nodeWithAddress(ip));
  }

  serviceWithAddress(ip: string): Lookup<ServiceRow | undefined> {
    return found(this.#catalog.serviceWithAddress(ip));
  }

  preparedQuery(
    nameOrId: string,
    datacenter: string,
    origin: QueryOrigin,
  ): Lookup<QueryResult | undefined> {
    if (datacenter === this.#datacenter) {
      const queries = this.#catalog.documents("prepared-query");
      return runPreparedQuery(queries, nameOrId, datacenter, this);
    }
    return this.#fetch(
      { kind: "prepared-query", name: nameOrId, datacenter, origin },
      (got) => got.kind === "prepared-query" ? found(got.result) : undefined,
    );
  }

  upstream(name: string): Lookup<ResourceRecord[]> {
    return this.#fetch(
      { kind: "upstream", name },
      (got) => got.kind === "records" ? found(got.records) : undefined,
    );
  }

  #holds(place: Place): boolean {
    return place.peer !== "" || place.datacenter === this.#datacenter;
  }

  #fetchInstances(service: string, place: Place, connect: boolean): Lookup<Instance[]> {
    return this.#fetch(
      { kind: "instances", place, service, connect },
      (got) => got.kind === "instances" ? found(got.instances) : undefined,
    );
  }

  #fetch<T>(need: Need, take: (got: Fetched) => Lookup<T> | undefined): Lookup<T> {
    const got = this.#fetched.get(needKey(need));
    if (got === undefined) return { kind: "wait", need };
    if (got.kind === "failed") return got;
    return take(got) ?? { kind: "failed", code: "internal" };
  }
}

function found<T>(rows: T): Lookup<T> {
  return { kind: "found", rows };
}

interface ConfigEntry {
  Kind?: string;
  Name?: string;
  Listeners?: { Services?: { Name?: string }[] | null }[] | null;
}

function exposes(entry: ConfigEntry, service: string): boolean {
  for (const listener of entry.Listeners ?? []) {
    for (const { Name } of listener.Services ?? []) {
      if (Name === "*" || Name?.toLowerCase() === service) return true;
    }
  }
  return false;
}

interface VirtualIpRow {
  Service?: { ServiceName?: { Name?: string }; Name?: string; Peer?: string };
  IP?: string;
}

/** The state keeps offsets into 240.0.0.0/4. */
function virtualAddress(ip: string): string | undefined {
  const bytes = parseIp(ip);
  if (bytes === undefined || bytes.length !== 4) return undefined;
  bytes[0]! |= 240;
  return formatIp(bytes);
}
