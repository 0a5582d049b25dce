// Nodes of the catalog, keyed by peer and lower-cased name.

import type { Database, Statement } from "bun:sqlite";
import { Node } from "#proto/messages.js";
import { indexName } from "../indexes.ts";
import type { Journal } from "../journal.ts";
import { sameBytes } from "../keys.ts";
import { bodyHash, nodeBody, readRow } from "../rows.ts";
import { watchKey } from "../watch-keys.ts";

const columns = "name, create_index, modify_index, body";
type Row = [string, number, number, Uint8Array];

export class NodeTable {
  readonly #journal: Journal;
  readonly #byName: Statement;
  readonly #byId: Statement;
  readonly #byIdRange: Statement;
  readonly #all: Statement;
  readonly #after: Statement;
  readonly #everywhere: Statement;
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #remove: Statement;

  constructor(db: Database, journal: Journal) {
    this.#journal = journal;
    const select = `SELECT ${columns} FROM nodes WHERE peer = ?`;
    this.#byName = db.prepare(`${select} AND name = ?`);
    this.#byId = db.prepare(`${select} AND node_id = ? AND node_id <> '' ORDER BY name`);
    this.#byIdRange = db.prepare(
      `${select} AND node_id >= ? AND node_id < ? AND node_id <> '' ORDER BY node_id LIMIT 2`,
    );
    this.#all = db.prepare(`${select} ORDER BY name`);
    this.#everywhere = db.prepare(`SELECT ${columns} FROM nodes ORDER BY peer, name`);
    this.#after = db.prepare(`${select} AND name > ? ORDER BY name LIMIT ?`);
    this.#insert = db.prepare(
      "INSERT INTO nodes (peer, name, node_id, create_index, modify_index, body) " +
        "VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#update = db.prepare(
      "UPDATE nodes SET node_id = ?, create_index = ?, modify_index = ?, body = ? " +
        "WHERE peer = ? AND name = ?",
    );
    this.#remove = db.prepare("DELETE FROM nodes WHERE peer = ? AND name = ?");
  }

  find(peer: string, name: string): Node | undefined {
    return first(this.#byName.values(peer, name.toLowerCase()) as Row[]);
  }

  findById(peer: string, id: string): Node | undefined {
    return first(this.#byId.values(peer, id.toLowerCase()) as Row[]);
  }

  /** By name, else by an unambiguous prefix of the ID. */
  lookUp(peer: string, nameOrId: string): Node | undefined {
    const byName = this.find(peer, nameOrId);
    if (byName !== undefined || !isIdPrefix(nameOrId)) return byName;
    const low = nameOrId.toLowerCase();
    const rows = this.#byIdRange.values(peer, low, `${low}~`) as Row[];
    return rows.length === 1 ? first(rows) : undefined;
  }

  list(peer: string): Node[] {
    return (this.#all.values(peer) as Row[]).map(toNode);
  }

  /** Of all peers, for archives. */
  listAll(): Node[] {
    return (this.#everywhere.values() as Row[]).map(toNode);
  }

  /** At most `limit` nodes whose key is above `after`. */
  page(peer: string, after: string, limit: number): Node[] {
    return (this.#after.values(peer, after, limit) as Row[]).map(toNode);
  }

  /** A node of the same name that keeps this one out: alive by its serfHealth, another ID. */
  similar(node: Node): Node | undefined {
    const found = this.find(node.peerName, node.node);
    return found !== undefined && found.id !== node.id ? found : undefined;
  }

  /** Inserts or replaces; false when the row is equal already. `keptIndex` is the CreateIndex of
   *  the row that this one continues. */
  put(node: Node, old: Node | undefined, keptIndex?: number): boolean {
    const { index } = this.#journal;
    const createIndex = keptIndex ?? index;
    const name = node.node.toLowerCase();
    const body = nodeBody(node);
    if (old !== undefined) {
      // Case alone is no change.
      const oldBody = nodeBody(old);
      if (sameBytes(body, oldBody)) return false;
      if (sameBytes(nodeBody({ ...node, node: old.node }), oldBody)) return false;
      this.#journal.hash.remove(hashOf(node.peerName, name, oldBody, old));
      this.#update.run(node.id.toLowerCase(), createIndex, index, body, node.peerName, name);
    } else {
      this.#insert.run(node.peerName, name, node.id.toLowerCase(), createIndex, index, body);
    }
    const stored = { ...node, createIndex, modifyIndex: index };
    this.#journal.hash.add(hashOf(node.peerName, name, body, stored));
    this.#journal.note({ deleted: false, kind: "node", node: stored });
    return true;
  }

  remove(node: Node): void {
    const name = node.node.toLowerCase();
    this.#remove.run(node.peerName, name);
    this.#journal.hash.remove(hashOf(node.peerName, name, nodeBody(node), node));
    this.#journal.note({ deleted: true, kind: "node", node });
  }

  /** A row as it stood in a snapshot. */
  restore(node: Node): void {
    const { peerName, createIndex, modifyIndex } = node;
    const name = node.node.toLowerCase();
    const body = nodeBody(node);
    this.#insert.run(peerName, name, node.id.toLowerCase(), createIndex, modifyIndex, body);
    this.#journal.hash.add(hashOf(peerName, name, body, node));
  }

  /** The indexes that a change of a node, or of what it carries, moves. */
  touch(peer: string, name: string, rowChanged: boolean): void {
    const { index, indexes } = this.#journal;
    indexes.raise("nodes", index);
    indexes.raise(indexName.peerTable(peer, "nodes"), index);
    indexes.raise(indexName.node(peer, name), index);
    if (rowChanged) this.#journal.touch(watchKey.nodes());
    this.#journal.touch(watchKey.node(peer, name));
  }
}

function isIdPrefix(text: string): boolean {
  return text.length >= 2 && /^[0-9a-f-]+$/i.test(text);
}

function first(rows: Row[]): Node | undefined {
  return rows[0] && toNode(rows[0]);
}

function toNode(row: Row): Node {
  return readRow(Node, row[3], row[1], row[2]);
}

function hashOf(
  peer: string,
  name: string,
  body: Uint8Array,
  row: { createIndex: number; modifyIndex: number },
): number {
  return bodyHash("node", `${peer} ${name}`, body, row.createIndex, row.modifyIndex);
}
