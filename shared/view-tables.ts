// The rows of a view, with the indexes that readers need. Rows are replaced, never changed.

import type {
  Change,
  Check,
  Coordinate,
  Document,
  KvEntry,
  Node,
  Service,
  Session,
} from "#proto/messages.js";

/** What a batch touched, so that a reader knows what to make anew. */
export interface Touched {
  /** All rows may differ: the first whole view, or one after a resync. */
  isWhole: boolean;
  /** Node keys (`nodeKey`). */
  nodes: Set<string>;
  /** Lower-case names of services whose instances, nodes or checks changed. */
  services: Set<string>;
  /** "<kind>/<id>". */
  documents: Set<string>;
  /** KV keys as they are. */
  keys: Set<string>;
  sessions: Set<string>;
  coordinates: Set<string>;
}

export function newTouched(isWhole: boolean): Touched {
  return {
    isWhole,
    nodes: new Set(),
    services: new Set(),
    documents: new Set(),
    keys: new Set(),
    sessions: new Set(),
    coordinates: new Set(),
  };
}

/** A node's key: its lower-case name, behind its peer's name when it was imported. */
export function nodeKey(node: string, peerName: string): string {
  return peerName === "" ? node.toLowerCase() : `${peerName}\0${node.toLowerCase()}`;
}

export interface ReadTables {
  readonly nodes: ReadonlyMap<string, Node>;
  /** Node key → service id → row. */
  readonly servicesByNode: ReadonlyMap<string, ReadonlyMap<string, Service>>;
  /** Lower-case service name → instances, under node key + NUL + service id. */
  readonly servicesByName: ReadonlyMap<string, ReadonlyMap<string, Service>>;
  /** Node key → check id → row. */
  readonly checksByNode: ReadonlyMap<string, ReadonlyMap<string, Check>>;
  /** Kind → id → row. */
  readonly documents: ReadonlyMap<string, ReadonlyMap<string, Document>>;
  /** Keys as latin-1 strings of their bytes. */
  readonly kv: ReadonlyMap<string, KvEntry>;
  readonly sessions: ReadonlyMap<string, Session>;
  /** Node key + NUL + segment. */
  readonly coordinates: ReadonlyMap<string, Coordinate>;
}

export class Tables implements ReadTables {
  readonly nodes = new Map<string, Node>();
  readonly servicesByNode = new Map<string, Map<string, Service>>();
  readonly servicesByName = new Map<string, Map<string, Service>>();
  readonly checksByNode = new Map<string, Map<string, Check>>();
  readonly documents = new Map<string, Map<string, Document>>();
  readonly kv = new Map<string, KvEntry>();
  readonly sessions = new Map<string, Session>();
  readonly coordinates = new Map<string, Coordinate>();

  apply(change: Change, touched: Touched): void {
    switch (change.row) {
      case "node":
        return this.#applyNode(change.node, change.deleted, touched);
      case "service":
        return this.#applyService(change.service, change.deleted, touched);
      case "check":
        return this.#applyCheck(change.check, change.deleted, touched);
      case "document": {
        const { kind, id } = change.document;
        put(inner(this.documents, kind), id, change.deleted ? undefined : own(change.document));
        touched.documents.add(`${kind}/${id}`);
        return;
      }
      case "kv": {
        const key = Buffer.from(change.kv.key).toString("latin1");
        put(this.kv, key, change.deleted ? undefined : own(change.kv));
        touched.keys.add(key);
        return;
      }
      case "session":
        put(this.sessions, change.session.id, change.deleted ? undefined : change.session);
        touched.sessions.add(change.session.id);
        return;
      case "coordinate": {
        const { node, segment } = change.coordinate;
        const key = `${nodeKey(node, "")}\0${segment}`;
        put(this.coordinates, key, change.deleted ? undefined : change.coordinate);
        touched.coordinates.add(key);
        return;
      }
      case undefined:
        // A topic of a newer release.
        return;
    }
  }

  #applyNode(node: Node, isDeleted: boolean, touched: Touched): void {
    const key = nodeKey(node.node, node.peerName);
    put(this.nodes, key, isDeleted ? undefined : own(node));
    touched.nodes.add(key);
    this.#touchServices(key, touched);
  }

  #applyService(service: Service, isDeleted: boolean, touched: Touched): void {
    const key = nodeKey(service.node, service.peerName);
    const ofNode = inner(this.servicesByNode, key);
    const before = ofNode.get(service.id);
    const instance = `${key}\0${service.id}`;
    if (before !== undefined) {
      const name = before.service.toLowerCase();
      const instances = this.servicesByName.get(name);
      instances?.delete(instance);
      if (instances?.size === 0) this.servicesByName.delete(name);
      touched.services.add(name);
    }
    touched.nodes.add(key);
    if (isDeleted) {
      ofNode.delete(service.id);
      if (ofNode.size === 0) this.servicesByNode.delete(key);
      return;
    }
    const row = own(service);
    ofNode.set(service.id, row);
    const name = service.service.toLowerCase();
    inner(this.servicesByName, name).set(instance, row);
    touched.services.add(name);
  }

  #applyCheck(check: Check, isDeleted: boolean, touched: Touched): void {
    const key = nodeKey(check.node, check.peerName);
    const ofNode = inner(this.checksByNode, key);
    const before = ofNode.get(check.checkId);
    const serviceId = isDeleted ? before?.serviceId ?? check.serviceId : check.serviceId;
    put(ofNode, check.checkId, isDeleted ? undefined : own(check));
    if (ofNode.size === 0) this.checksByNode.delete(key);
    touched.nodes.add(key);
    // A node's own check concerns all its services.
    if (serviceId === "") this.#touchServices(key, touched);
    else {
      const service = this.servicesByNode.get(key)?.get(serviceId);
      if (service !== undefined) touched.services.add(service.service.toLowerCase());
    }
  }

  #touchServices(key: string, touched: Touched): void {
    for (const service of this.servicesByNode.get(key)?.values() ?? []) {
      touched.services.add(service.service.toLowerCase());
    }
  }
}

function inner<V>(outer: Map<string, Map<string, V>>, key: string): Map<string, V> {
  let map = outer.get(key);
  if (map === undefined) outer.set(key, map = new Map());
  return map;
}

function put<V>(map: Map<string, V>, key: string, row: V | undefined): void {
  if (row === undefined) map.delete(key);
  else map.set(key, row);
}

/** Bytes of a decoded message are views of the chunk that came from the socket: a row that stays
 *  must not keep the whole chunk in memory. */
function own<Row extends object>(row: Row): Row {
  const fields = row as Record<string, unknown>;
  for (const name in fields) {
    const value = fields[name];
    if (value instanceof Uint8Array && value.length > 0) fields[name] = Uint8Array.from(value);
  }
  return row;
}
