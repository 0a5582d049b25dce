// Queries to rows and their index: what X-Consul-Index says for each of them (Consul's rules,
// http-api §2.2). An index never hides a change: where rows alone could make it fall, it falls back
// on the index of a whole table.

import { ReadReply } from "#proto/messages.js";
import type {
  ChecksQuery,
  InstancesQuery,
  NodeQuery,
  Query,
  ReadReplyInput,
  Service,
} from "#proto/messages.js";
import { indexName } from "./indexes.ts";
import type { IndexValues } from "./indexes.ts";
import { filterInstances, InstanceReader } from "./read-instances.ts";
import { hasMeta } from "./rows.ts";
import type { Applied } from "./store-types.ts";
import type { Tables } from "./tables.ts";
import { documentTable } from "./tables/documents.ts";

/** Rows of one kind and what the whole answer says about itself. */
export interface Answer {
  readonly index: number;
  readonly notFound?: boolean;
  readonly rows: ReadReplyInput;
}

/** The rows of the moment; nothing here writes. */
export class Reads {
  readonly #tables: Tables;
  readonly #indexes: IndexValues;
  readonly #instances: InstanceReader;

  constructor(tables: Tables, indexes: IndexValues) {
    this.#tables = tables;
    this.#indexes = indexes;
    this.#instances = new InstanceReader(tables);
  }

  read(query: Query): Answer {
    const { kv, nodes } = this.#tables;
    switch (query.kind) {
      case "kvGet": {
        const entry = kv.get(query.kvGet.key);
        if (entry === undefined) {
          return { index: this.#kvTableIndex(), notFound: true, rows: {} };
        }
        return { index: entry.modifyIndex, rows: { kv: [entry] } };
      }
      case "nodes": {
        const found = nodes.list("").filter((node) => hasMeta(node.meta, query.nodes.meta));
        return { index: this.indexOf(query), rows: { nodes: found } };
      }
      case "instances":
        return this.#readInstances(query.instances);
      case "node":
        return this.#readNode(query.node);
      case "checks":
        return { index: this.indexOf(query), rows: { checks: this.#readChecks(query.checks) } };
      default:
        return this.#readOthers(query);
    }
  }

  /** Without the rows, where that is cheaper; undefined where the rows decide it. */
  quickIndexOf(query: Query): number | undefined {
    switch (query.kind) {
      case "kvGet":
        return this.#tables.kv.modifyIndex(query.kvGet.key) ?? this.#kvTableIndex();
      case "kvList":
        return query.kvList.prefix.length === 0 ? this.#kvTableIndex() : undefined;
      case "kvKeys":
        return query.kvKeys.prefix.length === 0 ? this.#kvTableIndex() : undefined;
      case "instances":
        return this.#instancesIndex(query.instances);
      default:
        return this.indexOf(query);
    }
  }

  /** The index of a prefix whose rows have this highest ModifyIndex. */
  prefixIndex(prefix: Uint8Array, highestOfRows: number): number {
    if (prefix.length === 0) return this.#kvTableIndex();
    const highest = Math.max(highestOfRows, this.#tables.kv.tombstones.highest(prefix));
    return highest === 0 ? this.#kvTableIndex() : highest;
  }

  /** For queries whose index does not depend on their rows. */
  indexOf(query: Query): number {
    const indexes = this.#indexes;
    switch (query.kind) {
      case "nodes":
        return indexes.get("nodes");
      case "services": {
        const hasFilter = Object.keys(query.services.nodeMeta).length > 0;
        return hasFilter ? indexes.max("services", "nodes") : indexes.get("services");
      }
      case "node":
        return this.#nodeIndex(query.node);
      case "checks":
        return this.#checksIndex(query.checks);
      case "sessions":
        return indexes.get("sessions");
      case "coordinates":
        return indexes.get("coordinates");
      case "documents":
        return indexes.get(documentTable(query.documents.kind));
      case "nodeDump":
        return indexes.max("nodes", "services", "checks");
      case "kvGet":
      case "kvList":
      case "kvKeys":
      case "instances":
      case "txn":
      case undefined:
        return 0;
      default:
        return query satisfies never;
    }
  }

  #readOthers(query: Query): Answer {
    const { sessions, coordinates, documents } = this.#tables;
    const index = this.indexOf(query);
    switch (query.kind) {
      case "sessions": {
        const { id, node } = query.sessions;
        if (id !== "") {
          const session = sessions.find(id);
          return { index, notFound: !session, rows: { sessions: session ? [session] : [] } };
        }
        return { index, rows: { sessions: node === "" ? sessions.list() : sessions.ofNode(node) } };
      }
      case "coordinates": {
        const { node } = query.coordinates;
        const found = node === "" ? coordinates.list() : coordinates.ofNode(node);
        return {
          index,
          notFound: node !== "" && found.length === 0,
          rows: { coordinates: found },
        };
      }
      case "documents": {
        const { kind, id, idPrefix } = query.documents;
        if (id === "") return { index, rows: { documents: documents.list(kind, idPrefix) } };
        const found = documents.find(kind, id);
        return { index, notFound: !found, rows: { documents: found ? [found] : [] } };
      }
      default:
        return { index, rows: {} };
    }
  }

  #readInstances(query: InstancesQuery): Answer {
    const ownIndex = this.#indexes.find(indexName.service(query.peerName, query.service));
    const all = this.#instances.all(query, ownIndex);
    const index = this.#instancesIndexOf(query, all.map(({ service }) => service!));
    return { index, rows: { instances: filterInstances(query, all) } };
  }

  #instancesIndex(query: InstancesQuery): number {
    const { services } = this.#tables;
    const { service, peerName: peer } = query;
    if (query.connect) return this.#instancesIndexOf(query, services.byMesh(peer, service));
    const index = this.#indexes.find(indexName.service(peer, service));
    if (index !== undefined) return index;
    return this.#instancesIndexOf(query, services.byName(peer, service));
  }

  #instancesIndexOf(query: InstancesQuery, found: readonly Service[]): number {
    const { service, peerName: peer, connect } = query;
    const indexes = this.#indexes;
    // Health reads of the mesh never miss a change. Catalog reads have the index of the target alone,
    // as Consul's do.
    if (connect && query.withChecks) {
      if (found.length === 0) return indexes.max("nodes", "services", "checks");
      const names = new Set(found.map((each) => each.service)).add(service);
      return indexes.max(...[...names].map((name) => indexName.service(peer, name)));
    }
    if (found.length === 0) {
      const extinction = indexes.find(indexName.serviceExtinction(peer));
      if (extinction !== undefined) return extinction;
    }
    const own = indexes.find(indexName.service(peer, service));
    if (own !== undefined) return own;
    return indexes.max("nodes", "services", ...(query.withChecks ? ["checks"] : []));
  }

  #readNode(query: NodeQuery): Answer {
    const { nodes, services, checks } = this.#tables;
    const { peerName: peer } = query;
    const index = this.#nodeIndex(query);
    const node = nodes.lookUp(peer, query.node);
    if (node === undefined) return { index, notFound: true, rows: {} };
    const nodeServices = services.ofNode(peer, node.node);
    const rows: ReadReplyInput = { nodes: [node], nodeServices };
    if (query.withChecks) rows.checks = checks.ofNode(peer, node.node);
    return { index, rows };
  }

  #nodeIndex(query: NodeQuery): number {
    const { peerName: peer } = query;
    const indexes = this.#indexes;
    const node = this.#tables.nodes.lookUp(peer, query.node);
    if (node === undefined) {
      return query.node.length < 2 ? 1 : indexes.get(indexName.nodeExtinction(peer));
    }
    const own = indexes.find(indexName.node(peer, node.node)) ?? indexes.max("nodes", "services");
    return query.withChecks ? Math.max(own, indexes.get("checks")) : own;
  }

  #readChecks(query: ChecksQuery) {
    const { nodes, checks } = this.#tables;
    const { node, service, state, nodeMeta } = query;
    const found = node !== ""
      ? checks.ofNode("", node)
      : service !== ""
      ? checks.ofService("", service)
      : state === "" || state === "any"
      ? checks.list("")
      : checks.inState("", state);
    if (Object.keys(nodeMeta).length === 0) return found;
    return found.filter((check) => {
      const row = nodes.find("", check.node);
      return row !== undefined && hasMeta(row.meta, nodeMeta);
    });
  }

  #checksIndex({ service, nodeMeta }: ChecksQuery): number {
    const indexes = this.#indexes;
    if (service === "" || Object.keys(nodeMeta).length === 0) return indexes.get("checks");
    return indexes.find(indexName.service("", service)) ??
      indexes.max("nodes", "services", "checks");
  }

  #kvTableIndex(): number {
    return this.#indexes.max("kvs", "tombstones");
  }
}

/** The answer as it goes to the caller; an index is never below 1. */
export function toReply(
  answer: Answer,
  applied: Pick<Applied, "index" | "indexBase" | "generation">,
): ReadReply {
  const meta = {
    index: Math.max(1, answer.index),
    generation: applied.generation,
    appliedIndex: applied.index + applied.indexBase,
    notFound: answer.notFound ?? false,
  };
  return ReadReply.create({ ...answer.rows, meta });
}
