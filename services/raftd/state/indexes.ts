// Consul's index table: the highest log index that changed a table or an object. It decides what
// X-Consul-Index a read reports and whether a blocking read is out of date. Names are Consul's, so
// the table goes into its snapshots as it is.

import type { Database, Statement } from "bun:sqlite";
import { hashTables, textHash } from "./hash.ts";
import type { ContentHash } from "./hash.ts";

/** Index values to look at. Kept in memory whole: a few per node and service. */
export class IndexValues {
  protected readonly values: Map<string, number>;

  constructor(values: Map<string, number>) {
    this.values = values;
  }

  /** Undefined: nothing ever set it, or what it belongs to is gone. */
  find(name: string): number | undefined {
    return this.values.get(name);
  }

  get(name: string): number {
    return this.values.get(name) ?? 0;
  }

  max(...names: string[]): number {
    return names.reduce((highest, name) => Math.max(highest, this.get(name)), 0);
  }

  entries(): IterableIterator<[string, number]> {
    return this.values.entries();
  }

  /** The values of this moment, for reads that last. */
  copy(): IndexValues {
    return new IndexValues(new Map(this.values));
  }
}

/** The values of the file, which commands raise. */
export class Indexes extends IndexValues {
  /** Names changed in this batch, with what the file has. */
  readonly #unsaved = new Map<string, number | undefined>();
  readonly #put: Statement;
  readonly #remove: Statement;
  readonly #hash: ContentHash;
  #undo: [string, number | undefined][] | undefined;

  constructor(db: Database, hash: ContentHash) {
    const rows = db.query("SELECT name, value FROM indexes").values() as [string, number][];
    super(new Map(rows));
    this.#hash = hash;
    this.#put = db.prepare("INSERT OR REPLACE INTO indexes (name, value) VALUES (?, ?)");
    this.#remove = db.prepare("DELETE FROM indexes WHERE name = ?");
  }

  /** Raises; an index never falls by a command. */
  raise(name: string, index: number): void {
    const old = this.values.get(name) ?? 0;
    if (old >= index) return;
    this.#change(name, this.values.get(name), index);
  }

  /** Sets it whatever it was: for restored snapshots and for counters. */
  set(name: string, value: number): void {
    this.#change(name, this.values.get(name), value);
  }

  remove(name: string): void {
    const old = this.values.get(name);
    if (old !== undefined) this.#change(name, old, undefined);
  }

  /** From here on `rollback` knows what to put back. */
  mark(): void {
    this.#undo = [];
  }

  release(): void {
    this.#undo = undefined;
  }

  rollback(): void {
    for (const [name, old] of this.#undo?.reverse() ?? []) this.#assign(name, old);
    this.#undo = undefined;
  }

  /** Writes what the batch changed. */
  save(): void {
    for (const [name, saved] of this.#unsaved) {
      const value = this.values.get(name);
      if (value === saved) continue;
      if (saved !== undefined) this.#hash.remove(textHash(hashTables.index, name, saved));
      if (value === undefined) {
        this.#remove.run(name);
      } else {
        this.#hash.add(textHash(hashTables.index, name, value));
        this.#put.run(name, value);
      }
    }
    this.#unsaved.clear();
  }

  #change(name: string, old: number | undefined, value: number | undefined): void {
    this.#undo?.push([name, old]);
    if (!this.#unsaved.has(name)) this.#unsaved.set(name, old);
    this.#assign(name, value);
  }

  #assign(name: string, value: number | undefined): void {
    if (value === undefined) this.values.delete(name);
    else this.values.set(name, value);
  }
}

/** Consul writes the local peer as `~`. */
export function peerKey(peer: string): string {
  return peer === "" ? "~" : peer;
}

/** Names of per-object indexes. A service's has the spelling that it was registered with. */
export const indexName = {
  peerTable: (peer: string, table: string) => `peer.${peerKey(peer)}:${table}`,
  node: (peer: string, node: string) => `peer.${peerKey(peer)}:node.${node.toLowerCase()}`,
  service: (peer: string, service: string) => `peer.${peerKey(peer)}:service.${service}`,
  serviceKind: (peer: string, kind: string) =>
    `peer.${peerKey(peer)}:service_kind.${kind === "" ? "typical" : kind}`,
  serviceExtinction: (peer: string) => `peer.${peerKey(peer)}:service_last_extinction`,
  nodeExtinction: (peer: string) => `peer.${peerKey(peer)}:node_last_extinction`,
} as const;
