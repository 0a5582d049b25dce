// Where keys were deleted: they keep the index of a prefix from sliding back for a while.

import type { Database, Statement } from "bun:sqlite";
import { hashTables, rowHash } from "../hash.ts";
import type { Journal } from "../journal.ts";
import { keyRange } from "../keys.ts";

const none = new Uint8Array(0);

export interface Tombstone {
  readonly key: Uint8Array;
  readonly index: number;
}

export class Tombstones {
  readonly #journal: Journal;
  readonly #one: Statement;
  readonly #put: Statement;
  readonly #oldest: Statement;
  readonly #reap: Statement;
  readonly #highest: Statement;
  readonly #highestOpen: Statement;
  readonly #all: Statement;

  constructor(db: Database, journal: Journal) {
    this.#journal = journal;
    this.#one = db.prepare("SELECT log_index FROM tombstones WHERE key = ?");
    this.#put = db.prepare("INSERT OR REPLACE INTO tombstones (key, log_index) VALUES (?, ?)");
    this.#oldest = db.prepare(
      "SELECT key, log_index FROM tombstones WHERE log_index <= ? ORDER BY log_index, key",
    );
    this.#reap = db.prepare("DELETE FROM tombstones WHERE log_index <= ?");
    const highest = "SELECT max(log_index) FROM tombstones WHERE key >= ?";
    this.#highest = db.prepare(`${highest} AND key < ?`);
    this.#highestOpen = db.prepare(highest);
    this.#all = db.prepare("SELECT key, log_index FROM tombstones ORDER BY key");
  }

  /** One stone for a key, or for a prefix that was deleted whole. */
  bury(key: Uint8Array): void {
    const { index, hash } = this.#journal;
    const old = this.#one.values(key)[0]?.[0] as number | undefined;
    if (old !== undefined) hash.remove(hashOf(key, old));
    this.restore({ key, index });
  }

  /** The youngest under the prefix; 0: there is none. */
  highest(prefix: Uint8Array): number {
    const { low, high } = keyRange(prefix);
    const [row] = high ? this.#highest.values(low, high) : this.#highestOpen.values(low);
    return (row?.[0] as number | null) ?? 0;
  }

  /** Forgets those up to this index. */
  reap(throughIndex: number): void {
    for (const [key, index] of this.#oldest.values(throughIndex) as [Uint8Array, number][]) {
      this.#journal.hash.remove(hashOf(key, index));
    }
    this.#reap.run(throughIndex);
  }

  list(): Tombstone[] {
    return (this.#all.values() as [Uint8Array, number][]).map(([key, index]) => ({ key, index }));
  }

  restore({ key, index }: Tombstone): void {
    this.#put.run(key, index);
    this.#journal.hash.add(hashOf(key, index));
    this.#journal.indexes.raise("tombstones", index);
  }
}

function hashOf(key: Uint8Array, index: number): number {
  return rowHash(hashTables.tombstone, key, none, 0, index);
}
