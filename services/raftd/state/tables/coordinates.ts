// Network coordinates that agents send of themselves, one per node and segment.

import type { Database, Statement } from "bun:sqlite";
import { Coordinate } from "#proto/messages.js";
import type { Journal } from "../journal.ts";
import { sameBytes } from "../keys.ts";
import { bodyHash, coordinateBody } from "../rows.ts";
import { watchKey } from "../watch-keys.ts";

export class CoordinateTable {
  readonly #journal: Journal;
  readonly #one: Statement;
  readonly #ofNode: Statement;
  readonly #all: Statement;
  readonly #put: Statement;
  readonly #remove: Statement;

  constructor(db: Database, journal: Journal) {
    this.#journal = journal;
    this.#one = db.prepare("SELECT body FROM coordinates WHERE node = ? AND segment = ?");
    this.#ofNode = db.prepare("SELECT body FROM coordinates WHERE node = ? ORDER BY segment");
    this.#all = db.prepare("SELECT body FROM coordinates ORDER BY node, segment");
    this.#put = db.prepare(
      "INSERT INTO coordinates (node, segment, body) VALUES (?, ?, ?) " +
        "ON CONFLICT (node, segment) DO UPDATE SET body = excluded.body",
    );
    this.#remove = db.prepare("DELETE FROM coordinates WHERE node = ?");
  }

  ofNode(node: string): Coordinate[] {
    return this.#ofNode.values(node.toLowerCase()).map(toCoordinate);
  }

  list(): Coordinate[] {
    return this.#all.values().map(toCoordinate);
  }

  put(coordinate: Coordinate): void {
    const node = coordinate.node.toLowerCase();
    const body = coordinateBody(coordinate);
    const old = this.#one.values(node, coordinate.segment)[0]?.[0] as Uint8Array | undefined;
    if (old !== undefined && sameBytes(old, body)) return;
    if (old !== undefined) this.#journal.hash.remove(hashOf(node, coordinate.segment, old));
    this.#put.run(node, coordinate.segment, body);
    this.#journal.hash.add(hashOf(node, coordinate.segment, body));
    this.#touch(node);
    this.#journal.note({ deleted: false, kind: "coordinate", coordinate });
  }

  /** As it stood in a snapshot; its index comes with the table's. */
  restore(coordinate: Coordinate): void {
    const node = coordinate.node.toLowerCase();
    const body = coordinateBody(coordinate);
    this.#put.run(node, coordinate.segment, body);
    this.#journal.hash.add(hashOf(node, coordinate.segment, body));
  }

  removeNode(node: string): void {
    const found = this.ofNode(node);
    if (found.length === 0) return;
    this.#remove.run(node.toLowerCase());
    for (const coordinate of found) {
      const body = coordinateBody(coordinate);
      this.#journal.hash.remove(hashOf(node.toLowerCase(), coordinate.segment, body));
      this.#journal.note({ deleted: true, kind: "coordinate", coordinate });
    }
    this.#touch(node);
  }

  #touch(node: string): void {
    this.#journal.indexes.raise("coordinates", this.#journal.index);
    this.#journal.touch(watchKey.coordinates());
    this.#journal.touch(watchKey.coordinate(node));
  }
}

function toCoordinate(row: unknown[]): Coordinate {
  return Coordinate.decode(row[0] as Uint8Array);
}

function hashOf(node: string, segment: string, body: Uint8Array): number {
  return bodyHash("coordinate", `${node} ${segment}`, body, 0, 0);
}
