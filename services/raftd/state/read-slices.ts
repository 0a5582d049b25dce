// Long answers in parts: no part takes the state thread longer than a few milliseconds. The last
// part has no more rows than the others and carries the index.

import type {
  Check,
  KvKeys,
  Node,
  Query,
  ReadReplyInput,
  ServiceInstance,
} from "#proto/messages.js";
import { keyText } from "./keys.ts";
import type { Answer, Reads } from "./reads.ts";
import { hasMeta } from "./rows.ts";
import type { Tables } from "./tables.ts";

const rowsPerSlice = 500;
const bytesPerSlice = 1 << 20;

/** A part of an answer; the last one says the index. */
export type Slice = Answer | { readonly index?: undefined; readonly rows: ReadReplyInput };

/** Undefined: this kind of query is short, read it whole. */
export function slicesOf(query: Query, tables: Tables, reads: Reads): Iterable<Slice> | undefined {
  switch (query.kind) {
    case "kvList":
      return kvSlices(query.kvList.prefix, tables, reads);
    case "kvKeys":
      return keySlices(query.kvKeys, tables, reads);
    case "services":
      return serviceSlices(query, tables, reads);
    case "nodeDump":
      return nodeSlices(query, tables, reads);
    default:
      return undefined;
  }
}

function* kvSlices(prefix: Uint8Array, { kv }: Tables, reads: Reads): Iterable<Slice> {
  let highest = 0;
  for (const page of kv.pages(prefix, rowsPerSlice, bytesPerSlice)) {
    for (const entry of page) highest = Math.max(highest, entry.modifyIndex);
    yield { rows: { kv: page } };
  }
  yield { index: reads.prefixIndex(prefix, highest), rows: {} };
}

/** Names only, each cut after the first separator that follows the prefix, without repeats. */
function* keySlices(query: KvKeys, { kv }: Tables, reads: Reads): Iterable<Slice> {
  const { prefix } = query;
  const separator = keyText(query.separator);
  let highest = 0;
  let last: string | undefined;
  for (const page of kv.keyPages(prefix, rowsPerSlice * 4)) {
    const keys: Uint8Array[] = [];
    for (const { key, modifyIndex } of page) {
      highest = Math.max(highest, modifyIndex);
      if (separator === "") {
        keys.push(key);
        continue;
      }
      const text = keyText(key);
      const at = text.indexOf(separator, prefix.length);
      const cut = at < 0 ? text : text.slice(0, at + separator.length);
      if (cut === last) continue;
      last = cut;
      keys.push(at < 0 ? key : key.subarray(0, cut.length));
    }
    yield { rows: { keys } };
  }
  yield { index: reads.prefixIndex(prefix, highest), rows: {} };
}

function* serviceSlices(query: Query, tables: Tables, reads: Reads): Iterable<Slice> {
  const wanted = query.services!.nodeMeta;
  const hasFilter = Object.keys(wanted).length > 0;
  const names = new Map<string, { tags: Set<string>; kind: string }>();
  let afterNode = "";
  let afterId = "";
  let passes = true;
  while (true) {
    const page = tables.services.page("", afterNode, afterId, rowsPerSlice);
    for (const service of page) {
      const nodeKey = service.node.toLowerCase();
      if (hasFilter && nodeKey !== afterNode) {
        const node = tables.nodes.find("", service.node);
        passes = node !== undefined && hasMeta(node.meta, wanted);
      }
      afterNode = nodeKey;
      afterId = service.id.toLowerCase();
      if (!passes) continue;
      const known = names.get(service.service);
      if (known === undefined) {
        names.set(service.service, { tags: new Set(service.tags), kind: service.kind });
      } else {
        for (const tag of service.tags) known.tags.add(tag);
      }
    }
    if (page.length < rowsPerSlice) break;
    yield { rows: {} };
  }
  const services = [...names].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([service, { tags, kind }]) => ({ service, tags: [...tags].sort(), kind }));
  yield { index: reads.indexOf(query), rows: { services } };
}

/** Nodes with all they carry: an instance per service, checks of the node itself apart. */
function* nodeSlices(query: Query, tables: Tables, reads: Reads): Iterable<Slice> {
  const wanted = query.nodeDump!.meta;
  let after = "";
  while (true) {
    const page = tables.nodes.page("", after, rowsPerSlice / 10);
    const nodes: Node[] = page.filter((node) => hasMeta(node.meta, wanted));
    const instances: ServiceInstance[] = [];
    const checks: Check[] = [];
    for (const node of nodes) {
      const all = tables.checks.ofNode("", node.node);
      checks.push(...all.filter((check) => check.serviceId === ""));
      for (const service of tables.services.ofNode("", node.node)) {
        const own = all.filter((check) => check.serviceId === service.id);
        instances.push({ node, service, checks: own });
      }
    }
    if (page.length < rowsPerSlice / 10) {
      yield { index: reads.indexOf(query), rows: { nodes, instances, checks } };
      return;
    }
    after = page.at(-1)!.node.toLowerCase();
    yield { rows: { nodes, instances, checks } };
  }
}
