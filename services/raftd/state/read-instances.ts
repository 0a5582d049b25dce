// Instances of a service with their node and, for health reads, their checks.

import type { Check, InstancesQuery, Node, Service, ServiceInstance } from "#proto/messages.js";
import { hasMeta } from "./rows.ts";
import type { Tables } from "./tables.ts";

/** Instances kept in memory, over all services. */
const keptMax = 20_000;

interface Kept {
  readonly index: number;
  readonly rows: readonly ServiceInstance[];
}

interface NodeRows {
  readonly node: Node | undefined;
  readonly checks: readonly Check[];
}

export class InstanceReader {
  readonly #tables: Tables;
  readonly #kept = new Map<string, Kept>();
  #keptCount = 0;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  /** All instances of the name, before the query's filters. `serviceIndex` moves with every change
   *  of them, their nodes and checks, so that rows kept under it are still true; undefined: do not
   *  keep them. */
  all(query: InstancesQuery, serviceIndex: number | undefined): readonly ServiceInstance[] {
    if (serviceIndex === undefined || query.connect) return this.#read(query);
    const key = `${query.withChecks} ${query.peerName} ${query.service}`;
    const kept = this.#kept.get(key);
    if (kept?.index === serviceIndex) return kept.rows;
    const rows = this.#read(query);
    this.#keptCount += rows.length - (kept?.rows.length ?? 0);
    this.#kept.delete(key);
    this.#kept.set(key, { index: serviceIndex, rows });
    for (const [oldest, { rows: dropped }] of this.#kept) {
      if (this.#keptCount <= keptMax) break;
      this.#kept.delete(oldest);
      this.#keptCount -= dropped.length;
    }
    return rows;
  }

  #read(query: InstancesQuery): ServiceInstance[] {
    const { nodes, services, checks } = this.#tables;
    const { peerName: peer, withChecks } = query;
    const found = query.connect
      ? services.byMesh(peer, query.service)
      : services.byName(peer, query.service);
    const byNode = new Map<string, NodeRows>();
    const rows: ServiceInstance[] = [];
    for (const service of found) {
      let on = byNode.get(service.node);
      if (on === undefined) {
        const node = nodes.find(peer, service.node);
        on = { node, checks: withChecks ? checks.ofInstance(peer, service.node, "") : [] };
        byNode.set(service.node, on);
      }
      const own = withChecks ? checks.ofInstance(peer, service.node, service.id) : [];
      rows.push({ node: on.node!, service, checks: [...on.checks, ...own] });
    }
    return rows;
  }
}

/** The instances that pass the query's filters: tags compare without case, and all must be there. */
export function filterInstances(
  query: InstancesQuery,
  rows: readonly ServiceInstance[],
): readonly ServiceInstance[] {
  const tags = query.tags.map((tag) => tag.toLowerCase());
  const hasFilter = tags.length > 0 || Object.keys(query.nodeMeta).length > 0;
  if (!hasFilter) return rows;
  return rows.filter(({ node, service }) =>
    hasTags(service!, tags) && hasMeta(node!.meta, query.nodeMeta)
  );
}

function hasTags(service: Service, wanted: readonly string[]): boolean {
  if (wanted.length === 0) return true;
  const tags = service.tags.map((tag) => tag.toLowerCase());
  return wanted.every((tag) => tags.includes(tag));
}
