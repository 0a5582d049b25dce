// Connections that hold one moment of the state while a long answer is read beside writes.

import { Database } from "bun:sqlite";
import { IndexValues } from "./indexes.ts";
import { Journal } from "./journal.ts";
import { Reads } from "./reads.ts";
import { openTables } from "./tables.ts";
import type { Tables } from "./tables.ts";

/** Idle connections kept open. */
const idleMax = 4;

export interface Reader {
  readonly db: Database;
  readonly tables: Tables;
  reads: Reads;
}

export class Readers {
  readonly #path: string;
  readonly #idle: Reader[] = [];
  readonly #busy = new Set<Reader>();

  constructor(path: string) {
    this.#path = path;
  }

  /** A reader of this very moment; `indexes` are those of the same moment. */
  take(indexes: IndexValues): Reader {
    const reader = this.#idle.pop() ?? this.#open();
    reader.db.run("BEGIN");
    // The snapshot is taken by the first read, not by BEGIN.
    reader.db.query("SELECT log_index FROM applied").get();
    reader.tables.kv.forget();
    reader.reads = new Reads(reader.tables, indexes.copy());
    this.#busy.add(reader);
    return reader;
  }

  give(reader: Reader): void {
    if (!this.#busy.delete(reader)) return;
    reader.db.run("ROLLBACK");
    if (this.#idle.length < idleMax) this.#idle.push(reader);
    else reader.db.close();
  }

  close(): void {
    for (const reader of [...this.#idle, ...this.#busy]) reader.db.close();
    this.#idle.length = 0;
    this.#busy.clear();
  }

  #open(): Reader {
    const db = new Database(this.#path, { readonly: true });
    const tables = openTables(db, new Journal(db));
    const reads = new Reads(tables, new IndexValues(new Map()));
    return { db, tables, reads };
  }
}
