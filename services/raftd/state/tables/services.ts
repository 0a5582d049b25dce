// Service instances of the catalog, keyed by peer, node and service ID.

import type { Database, Statement } from "bun:sqlite";
import { Service } from "#proto/messages.js";
import { indexName } from "../indexes.ts";
import type { Journal } from "../journal.ts";
import { sameBytes } from "../keys.ts";
import { bodyHash, readRow, serviceBody } from "../rows.ts";
import { watchKey } from "../watch-keys.ts";

const columns = "create_index, modify_index, body";
type Row = [number, number, Uint8Array];

export class ServiceTable {
  readonly #journal: Journal;
  readonly #byId: Statement;
  readonly #ofNode: Statement;
  readonly #byName: Statement;
  readonly #anyByName: Statement;
  readonly #byMesh: Statement;
  readonly #anyByMesh: Statement;
  readonly #all: Statement;
  readonly #after: Statement;
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #remove: Statement;

  constructor(db: Database, journal: Journal) {
    this.#journal = journal;
    const select = `SELECT ${columns} FROM services WHERE peer = ?`;
    this.#byId = db.prepare(`${select} AND node = ? AND service_id = ?`);
    this.#ofNode = db.prepare(`${select} AND node = ? ORDER BY service_id`);
    this.#byName = db.prepare(`${select} AND name = ? ORDER BY node, service_id`);
    this.#anyByName = db.prepare("SELECT 1 FROM services WHERE peer = ? AND name = ? LIMIT 1");
    this.#byMesh = db.prepare(
      `${select} AND mesh = ? AND mesh <> '' ORDER BY node, service_id`,
    );
    this.#anyByMesh = db.prepare(
      "SELECT 1 FROM services WHERE peer = ? AND mesh = ? AND mesh <> '' LIMIT 1",
    );
    this.#all = db.prepare(`${select} ORDER BY node, service_id`);
    this.#after = db.prepare(
      `${select} AND (node, service_id) > (?, ?) ORDER BY node, service_id LIMIT ?`,
    );
    this.#insert = db.prepare(
      "INSERT INTO services (peer, node, service_id, name, kind, mesh, create_index, " +
        "modify_index, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#update = db.prepare(
      "UPDATE services SET name = ?, kind = ?, mesh = ?, modify_index = ?, body = ? " +
        "WHERE peer = ? AND node = ? AND service_id = ?",
    );
    this.#remove = db.prepare(
      "DELETE FROM services WHERE peer = ? AND node = ? AND service_id = ?",
    );
  }

  find(peer: string, node: string, id: string): Service | undefined {
    return first(this.#byId.values(peer, node.toLowerCase(), id.toLowerCase()) as Row[]);
  }

  ofNode(peer: string, node: string): Service[] {
    return (this.#ofNode.values(peer, node.toLowerCase()) as Row[]).map(toService);
  }

  byName(peer: string, name: string): Service[] {
    return (this.#byName.values(peer, name.toLowerCase()) as Row[]).map(toService);
  }

  /** Proxies for the service and its mesh-native instances. */
  byMesh(peer: string, name: string): Service[] {
    return (this.#byMesh.values(peer, name.toLowerCase()) as Row[]).map(toService);
  }

  hasName(peer: string, name: string): boolean {
    return this.#anyByName.values(peer, name.toLowerCase()).length > 0;
  }

  hasMesh(peer: string, name: string): boolean {
    return this.#anyByMesh.values(peer, name.toLowerCase()).length > 0;
  }

  list(peer: string): Service[] {
    return (this.#all.values(peer) as Row[]).map(toService);
  }

  page(peer: string, afterNode: string, afterId: string, limit: number): Service[] {
    return (this.#after.values(peer, afterNode, afterId, limit) as Row[]).map(toService);
  }

  /** Inserts or replaces; false when the row is equal already. */
  put(node: string, draft: Service, old: Service | undefined): boolean {
    const { index } = this.#journal;
    const service = { ...draft, node };
    const { peerName: peer } = service;
    const [nodeKey, id, name] = [node, service.id, service.service].map((text) =>
      text.toLowerCase()
    ) as [string, string, string];
    const body = serviceBody(service);
    const mesh = meshName(service).toLowerCase();
    if (old !== undefined) {
      const oldBody = serviceBody(old);
      if (sameBytes(body, oldBody)) return false;
      this.#journal.hash.remove(hashOf(peer, nodeKey, id, oldBody, old));
      this.#update.run(name, service.kind, mesh, index, body, peer, nodeKey, id);
    } else {
      this.#insert.run(peer, nodeKey, id, name, service.kind, mesh, index, index, body);
    }
    const createIndex = old?.createIndex ?? index;
    const stored = { ...service, createIndex, modifyIndex: index };
    this.#journal.hash.add(hashOf(peer, nodeKey, id, body, stored));
    this.#journal.note({ deleted: false, kind: "service", service: stored });
    return true;
  }

  remove(service: Service): void {
    const { peerName: peer } = service;
    const nodeKey = service.node.toLowerCase();
    const id = service.id.toLowerCase();
    this.#remove.run(peer, nodeKey, id);
    this.#journal.hash.remove(hashOf(peer, nodeKey, id, serviceBody(service), service));
    this.#journal.note({ deleted: true, kind: "service", service });
  }

  restore(service: Service): void {
    const { peerName: peer, createIndex, modifyIndex, kind } = service;
    const nodeKey = service.node.toLowerCase();
    const id = service.id.toLowerCase();
    const name = service.service.toLowerCase();
    const body = serviceBody(service);
    const mesh = meshName(service).toLowerCase();
    this.#insert.run(peer, nodeKey, id, name, kind, mesh, createIndex, modifyIndex, body);
    this.#journal.hash.add(hashOf(peer, nodeKey, id, body, service));
  }

  /** The indexes of one service: its instances, their nodes or their checks changed. */
  touch(service: Service, rowChanged: boolean): void {
    const { index, indexes } = this.#journal;
    const { peerName: peer, service: name } = service;
    indexes.raise(indexName.service(peer, name), index);
    indexes.raise(indexName.serviceKind(peer, service.kind), index);
    this.#journal.touch(watchKey.health(peer, name));
    if (rowChanged) this.#journal.touch(watchKey.instances(peer, name));
    const mesh = meshName(service);
    if (mesh !== "") this.#journal.touch(watchKey.mesh(peer, mesh));
  }

  /** The index of all services together. */
  touchTable(peer: string): void {
    const { index, indexes } = this.#journal;
    indexes.raise("services", index);
    indexes.raise(indexName.peerTable(peer, "services"), index);
  }
}

/** The service that an instance stands for in the mesh; "": none. */
export function meshName(service: Service): string {
  if (service.kind === "connect-proxy") return destinationName(service);
  return isNative(service) ? service.service : "";
}

export function destinationName(service: Service): string {
  const name = parseObject(service.proxyJson).DestinationServiceName;
  return typeof name === "string" ? name : "";
}

export function isNative(service: Service): boolean {
  return parseObject(service.connectJson).Native === true;
}

const decoder = new TextDecoder();

/** A JSON object of a row; what is not one reads as empty. */
export function parseObject(json: Uint8Array): Record<string, unknown> {
  if (json.length === 0) return {};
  try {
    const value: unknown = JSON.parse(decoder.decode(json));
    return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
  } catch {
    return {};
  }
}

function first(rows: Row[]): Service | undefined {
  return rows[0] && toService(rows[0]);
}

function toService(row: Row): Service {
  return readRow(Service, row[2], row[0], row[1]);
}

function hashOf(
  peer: string,
  node: string,
  id: string,
  body: Uint8Array,
  row: { createIndex: number; modifyIndex: number },
): number {
  return bodyHash("service", `${peer} ${node} ${id}`, body, row.createIndex, row.modifyIndex);
}
