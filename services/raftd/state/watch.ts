// Who waits for what: queries in, and after each batch the watches whose answer may have changed.
// Costs a few hundred bytes per watch, and per batch only what changed, however many wait.

import type { Query } from "#proto/messages.js";
import { keyText } from "./keys.ts";
import type { AppliedChanges } from "./store-types.ts";
import { watchKey } from "./watch-keys.ts";

/** The watch keys of a query that is not about KV; a node is watched under all names given. */
export function watchKeys(query: Query, nodeNames: readonly string[] = []): string[] {
  switch (query.kind) {
    case "nodes":
      return [watchKey.nodes()];
    case "services":
      return hasAny(query.services.nodeMeta)
        ? [watchKey.services(), watchKey.nodes()]
        : [watchKey.services()];
    case "instances": {
      const { service, connect, withChecks, peerName: peer } = query.instances;
      if (connect) return [watchKey.mesh(peer, service)];
      return [withChecks ? watchKey.health(peer, service) : watchKey.instances(peer, service)];
    }
    case "node": {
      const { node, peerName: peer, withChecks } = query.node;
      return [node, ...nodeNames].flatMap((name) =>
        withChecks
          ? [watchKey.node(peer, name), watchKey.nodeChecks(peer, name)]
          : [watchKey.node(peer, name)]
      );
    }
    case "checks": {
      const { node, service, state, nodeMeta } = query.checks;
      const own = node !== ""
        ? watchKey.nodeChecks("", node)
        : service !== ""
        ? watchKey.serviceChecks("", service)
        : watchKey.checkState(state === "" ? "any" : state);
      return hasAny(nodeMeta) ? [own, watchKey.nodes()] : [own];
    }
    case "sessions": {
      const { id, node } = query.sessions;
      if (id !== "") return [watchKey.session(id)];
      return [node === "" ? watchKey.sessions() : watchKey.nodeSessions(node)];
    }
    case "coordinates": {
      const { node } = query.coordinates;
      return [node === "" ? watchKey.coordinates() : watchKey.coordinate(node)];
    }
    case "documents": {
      const { kind, id } = query.documents;
      return [id === "" ? watchKey.documents(kind) : watchKey.document(kind, id)];
    }
    case "nodeDump":
      return [watchKey.nodes(), watchKey.services(), watchKey.checkState("any")];
    case "kvGet":
    case "kvList":
    case "kvKeys":
    case "txn":
    case undefined:
      return [];
    default:
      return query satisfies never;
  }
}

type Place = { readonly map: Map<string, Set<unknown>>; readonly key: string };

/** `Watch` is whatever the caller knows a watch by. */
export class WatchTable<Watch> {
  readonly #keys = new Map<string, Set<Watch>>();
  readonly #objects = new Map<string, Set<Watch>>();
  /** By length, so that a changed key is looked up once per length that anyone watches. */
  readonly #prefixes = new Map<number, Map<string, Set<Watch>>>();
  readonly #places = new Map<Watch, Place[]>();

  get size(): number {
    return this.#places.size;
  }

  /** A watch has one query; adding it again replaces that. */
  add(watch: Watch, query: Query, nodeNames: readonly string[] = []): void {
    this.remove(watch);
    const places: Place[] = [];
    switch (query.kind) {
      case "kvGet":
        places.push(this.#put(this.#keys, keyText(query.kvGet.key), watch));
        break;
      case "kvList":
        places.push(this.#putPrefix(query.kvList.prefix, watch));
        break;
      case "kvKeys":
        places.push(this.#putPrefix(query.kvKeys.prefix, watch));
        break;
      default:
        for (const key of watchKeys(query, nodeNames)) {
          places.push(this.#put(this.#objects, key, watch));
        }
    }
    this.#places.set(watch, places);
  }

  remove(watch: Watch): void {
    for (const { map, key } of this.#places.get(watch) ?? []) {
      const set = map.get(key);
      set?.delete(watch);
      if (set?.size === 0) map.delete(key);
    }
    this.#places.delete(watch);
  }

  /** The watches to wake, each with the highest index that touched it. */
  touched(changes: AppliedChanges): Map<Watch, number> {
    const woken = new Map<Watch, number>();
    const wake = (watches: Set<Watch> | undefined, index: number) => {
      if (watches === undefined) return;
      for (const watch of watches) woken.set(watch, Math.max(woken.get(watch) ?? 0, index));
    };
    for (const [key, index] of changes.touched) wake(this.#objects.get(key), index);
    if (this.#keys.size === 0 && this.#prefixes.size === 0) return woken;
    for (const { index, changes: rows } of changes.groups) {
      for (const row of rows) {
        if (row.kind !== "kv") continue;
        const key = keyText(row.kv.key);
        wake(this.#keys.get(key), index);
        for (const [length, prefixes] of this.#prefixes) {
          if (length <= key.length) wake(prefixes.get(key.slice(0, length)), index);
        }
      }
    }
    return woken;
  }

  #putPrefix(prefix: Uint8Array, watch: Watch): Place {
    let map = this.#prefixes.get(prefix.length);
    if (map === undefined) this.#prefixes.set(prefix.length, map = new Map());
    return this.#put(map, keyText(prefix), watch);
  }

  #put(map: Map<string, Set<Watch>>, key: string, watch: Watch): Place {
    const set = map.get(key);
    if (set === undefined) map.set(key, new Set([watch]));
    else set.add(watch);
    return { map: map as Map<string, Set<unknown>>, key };
  }
}

function hasAny(map: Record<string, string>): boolean {
  for (const _ in map) return true;
  return false;
}
