// Instances of a service with their node and, for health reads, their checks.

import type { Check, InstancesQuery, Node, Service, ServiceInstance } from "#proto/messages.js";
import { hasMeta } from "./rows.ts";
import type { Tables } from "./tables.ts";

interface NodeRows {
  readonly node: Node | undefined;
  readonly checks: readonly Check[];
}

/** `found`: all instances of the name; `rows`: those that pass the query's filters. */
export function readInstances(
  query: InstancesQuery,
  { nodes, services, checks }: Tables,
): { found: Service[]; rows: ServiceInstance[] } {
  const { peerName: peer } = query;
  const found = query.connect
    ? services.byMesh(peer, query.service)
    : services.byName(peer, query.service);
  const byNode = new Map<string, NodeRows>();
  const tags = query.tags.map((tag) => tag.toLowerCase());
  const rows: ServiceInstance[] = [];
  for (const service of found) {
    if (!hasTags(service, tags)) continue;
    let on = byNode.get(service.node);
    if (on === undefined) {
      const node = nodes.find(peer, service.node);
      on = { node, checks: query.withChecks ? checks.ofInstance(peer, service.node, "") : [] };
      byNode.set(service.node, on);
    }
    const { node } = on;
    if (node === undefined || !hasMeta(node.meta, query.nodeMeta)) continue;
    const own = query.withChecks ? checks.ofInstance(peer, service.node, service.id) : [];
    rows.push({ node, service, checks: [...on.checks, ...own] });
  }
  return { found, rows };
}

/** Tags compare without case; all must be there. */
function hasTags(service: Service, wanted: readonly string[]): boolean {
  if (wanted.length === 0) return true;
  const tags = service.tags.map((tag) => tag.toLowerCase());
  return wanted.every((tag) => tags.includes(tag));
}
