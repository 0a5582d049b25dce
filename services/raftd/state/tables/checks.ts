// Health checks of the catalog, keyed by peer, node and check ID.

import type { Database, Statement } from "bun:sqlite";
import { Check } from "#proto/messages.js";
import { indexName } from "../indexes.ts";
import type { Journal } from "../journal.ts";
import { sameBytes } from "../keys.ts";
import { bodyHash, checkBody, readRow } from "../rows.ts";
import { watchKey } from "../watch-keys.ts";

const columns = "create_index, modify_index, body";
type Row = [number, number, Uint8Array];

export class CheckTable {
  readonly #journal: Journal;
  readonly #byId: Statement;
  readonly #nodesWith: Statement;
  readonly #ofNode: Statement;
  readonly #ofInstance: Statement;
  readonly #ofService: Statement;
  readonly #byStatus: Statement;
  readonly #all: Statement;
  readonly #after: Statement;
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #remove: Statement;

  constructor(db: Database, journal: Journal) {
    this.#journal = journal;
    const select = `SELECT ${columns} FROM checks WHERE peer = ?`;
    this.#byId = db.prepare(`${select} AND node = ? AND check_id = ?`);
    this.#nodesWith = db.prepare(
      "SELECT node FROM checks WHERE peer = ? AND check_id = ? ORDER BY node",
    );
    this.#ofNode = db.prepare(`${select} AND node = ? ORDER BY check_id`);
    this.#ofInstance = db.prepare(`${select} AND node = ? AND service_id = ? ORDER BY check_id`);
    this.#ofService = db.prepare(`${select} AND service_name = ? ORDER BY node, check_id`);
    this.#byStatus = db.prepare(`${select} AND status = ? ORDER BY node, check_id`);
    this.#all = db.prepare(`${select} ORDER BY node, check_id`);
    this.#after = db.prepare(
      `${select} AND (node, check_id) > (?, ?) ORDER BY node, check_id LIMIT ?`,
    );
    this.#insert = db.prepare(
      "INSERT INTO checks (peer, node, check_id, service_id, service_name, status, " +
        "create_index, modify_index, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#update = db.prepare(
      "UPDATE checks SET service_id = ?, service_name = ?, status = ?, modify_index = ?, " +
        "body = ? WHERE peer = ? AND node = ? AND check_id = ?",
    );
    this.#remove = db.prepare("DELETE FROM checks WHERE peer = ? AND node = ? AND check_id = ?");
  }

  find(peer: string, node: string, id: string): Check | undefined {
    const rows = this.#byId.values(peer, node.toLowerCase(), id.toLowerCase()) as Row[];
    return rows[0] && toCheck(rows[0]);
  }

  /** Keys of the nodes that have a check of this ID; reads no rows. */
  nodesWith(peer: string, checkId: string): string[] {
    return this.#nodesWith.values(peer, checkId.toLowerCase()).map((row) => row[0] as string);
  }

  ofNode(peer: string, node: string): Check[] {
    return (this.#ofNode.values(peer, node.toLowerCase()) as Row[]).map(toCheck);
  }

  /** Of one instance; service ID "" means the node's own. */
  ofInstance(peer: string, node: string, serviceId: string): Check[] {
    const rows = this.#ofInstance.values(peer, node.toLowerCase(), serviceId.toLowerCase());
    return (rows as Row[]).map(toCheck);
  }

  ofService(peer: string, name: string): Check[] {
    return (this.#ofService.values(peer, name.toLowerCase()) as Row[]).map(toCheck);
  }

  inState(peer: string, status: string): Check[] {
    return (this.#byStatus.values(peer, status) as Row[]).map(toCheck);
  }

  list(peer: string): Check[] {
    return (this.#all.values(peer) as Row[]).map(toCheck);
  }

  page(peer: string, afterNode: string, afterId: string, limit: number): Check[] {
    return (this.#after.values(peer, afterNode, afterId, limit) as Row[]).map(toCheck);
  }

  /** Inserts or replaces a row that differs from the old one. */
  put(check: Check, old: Check | undefined): void {
    const { index } = this.#journal;
    const { peerName: peer, status } = check;
    const [node, id, serviceId, serviceName] = keysOf(check);
    const body = checkBody(check);
    if (old !== undefined) {
      this.#journal.hash.remove(hashOf(peer, node, id, checkBody(old), old));
      this.#update.run(serviceId, serviceName, status, index, body, peer, node, id);
    } else {
      this.#insert.run(peer, node, id, serviceId, serviceName, status, index, index, body);
    }
    const stored = { ...check, createIndex: old?.createIndex ?? index, modifyIndex: index };
    this.#journal.hash.add(hashOf(peer, node, id, body, stored));
    this.#journal.note({ deleted: false, kind: "check", check: stored });
    if (old !== undefined) this.#touch(old);
    this.#touch(stored);
  }

  isSame(check: Check, old: Check): boolean {
    return sameBytes(checkBody(check), checkBody(old));
  }

  remove(check: Check): void {
    const { peerName: peer } = check;
    const [node, id] = keysOf(check);
    this.#remove.run(peer, node, id);
    this.#journal.hash.remove(hashOf(peer, node, id, checkBody(check), check));
    this.#journal.note({ deleted: true, kind: "check", check });
    this.#touch(check);
  }

  restore(check: Check): void {
    const { peerName: peer, status, createIndex, modifyIndex } = check;
    const [node, id, serviceId, serviceName] = keysOf(check);
    const body = checkBody(check);
    this.#insert.run(
      peer,
      node,
      id,
      serviceId,
      serviceName,
      status,
      createIndex,
      modifyIndex,
      body,
    );
    this.#journal.hash.add(hashOf(peer, node, id, body, check));
  }

  #touch(check: Check): void {
    const { index, indexes } = this.#journal;
    const { peerName: peer } = check;
    indexes.raise("checks", index);
    indexes.raise(indexName.peerTable(peer, "checks"), index);
    this.#journal.touch(watchKey.nodeChecks(peer, check.node));
    this.#journal.touch(watchKey.checkState(check.status));
    this.#journal.touch(watchKey.checkState("any"));
    if (check.serviceName !== "") {
      this.#journal.touch(watchKey.serviceChecks(peer, check.serviceName));
    }
  }
}

function keysOf(check: Check): [string, string, string, string] {
  return [
    check.node.toLowerCase(),
    check.checkId.toLowerCase(),
    check.serviceId.toLowerCase(),
    check.serviceName.toLowerCase(),
  ];
}

function toCheck(row: Row): Check {
  return readRow(Check, row[2], row[0], row[1]);
}

function hashOf(
  peer: string,
  node: string,
  id: string,
  body: Uint8Array,
  row: { createIndex: number; modifyIndex: number },
): number {
  return bodyHash("check", `${peer} ${node} ${id}`, body, row.createIndex, row.modifyIndex);
}
