// Rows of the KV table, with the ones used last kept in memory: a write first looks at what is
// there, and keys that are written are mostly written again.

import type { Database, Statement } from "bun:sqlite";
import type { KvEntry } from "#proto/messages.js";
import { keyRange, keyText } from "../keys.ts";

export interface KvRow {
  readonly id: number;
  readonly entry: KvEntry;
}

const none = new Uint8Array(0);
const columns = "id, key, create_index, modify_index, lock_index, session, flags, value";
const recentMax = 8_192;
/** Longer values are read from the file. */
const recentValueBytesMax = 1_024;

type Values = [
  id: number,
  key: Uint8Array,
  createIndex: number,
  modifyIndex: number,
  lockIndex: number,
  session: string,
  flags: Uint8Array | null,
  value: Uint8Array | null,
];

export class KvRows {
  readonly #db: Database;
  readonly #byKey: Statement;
  readonly #indexOf: Statement;
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #remove: Statement;
  readonly #held: Statement;
  readonly #recent = new Map<string, KvRow>();

  constructor(db: Database) {
    this.#db = db;
    this.#byKey = db.prepare(`SELECT ${columns} FROM kv WHERE key = ?`);
    this.#indexOf = db.prepare("SELECT modify_index FROM kv WHERE key = ?");
    this.#insert = db.prepare(
      "INSERT INTO kv (key, create_index, modify_index, lock_index, session, flags, value) " +
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#update = db.prepare(
      "UPDATE kv SET modify_index = ?, lock_index = ?, session = ?, flags = ?, value = ? " +
        "WHERE id = ?",
    );
    this.#remove = db.prepare("DELETE FROM kv WHERE id = ?");
    this.#held = db.prepare(
      `SELECT ${columns} FROM kv WHERE session = ? AND session <> '' ORDER BY key`,
    );
  }

  find(key: Uint8Array): KvRow | undefined {
    const name = keyText(key);
    const recent = this.#recent.get(name);
    if (recent !== undefined) return recent;
    const values = this.#byKey.values(key)[0] as Values | undefined;
    if (values === undefined) return undefined;
    const row = { id: values[0], entry: toEntry(values) };
    this.#remember(name, row);
    return row;
  }

  modifyIndex(key: Uint8Array): number | undefined {
    const recent = this.#recent.get(keyText(key));
    if (recent !== undefined) return recent.entry.modifyIndex;
    return this.#indexOf.values(key)[0]?.[0] as number | undefined;
  }

  /** The keys that a session holds. */
  held(session: string): KvRow[] {
    const rows = this.#held.values(session) as Values[];
    return rows.map((values) => ({ id: values[0], entry: toEntry(values) }));
  }

  put(entry: KvEntry, old: KvRow | undefined): void {
    const { key, modifyIndex, lockIndex, session } = entry;
    let id: number;
    if (old === undefined) id = this.insert(entry);
    else {
      id = old.id;
      this.#update.run(modifyIndex, lockIndex, session, blob(entry.flags), blob(entry.value), id);
    }
    // A copy: the entry's bytes are views of a whole batch of the log.
    const copy = { ...entry, key: copyOf(key), value: copyOf(entry.value) };
    this.#remember(keyText(key), { id, entry: copy });
  }

  /** A new row that is not likely to be asked for soon: nothing of it is kept in memory. */
  insert({ key, createIndex, modifyIndex, lockIndex, session, flags, value }: KvEntry): number {
    const { lastInsertRowid } = this.#insert.run(
      key,
      createIndex,
      modifyIndex,
      lockIndex,
      session,
      blob(flags),
      blob(value),
    );
    return Number(lastInsertRowid);
  }

  remove(row: KvRow): void {
    this.#remove.run(row.id);
    this.#recent.delete(keyText(row.entry.key));
  }

  removeRange(prefix: Uint8Array): void {
    const { low, high } = keyRange(prefix);
    const from = "DELETE FROM kv WHERE key >= ?";
    if (high) this.#db.query(`${from} AND key < ?`).run(low, high);
    else this.#db.query(from).run(low);
    this.forget();
  }

  /** After rows changed behind the memory: a transaction was undone. */
  forget(): void {
    this.#recent.clear();
  }

  /** All rows under the prefix, in pages of about so many rows and bytes. */
  *pages(prefix: Uint8Array, rowsMax: number, bytesMax: number): Iterable<KvEntry[]> {
    const page = this.#pager(columns, prefix);
    let limit = 32;
    let after: Uint8Array | undefined;
    while (true) {
      const entries = (page(after, limit) as Values[]).map(toEntry);
      if (entries.length > 0) yield entries;
      if (entries.length < limit) return;
      after = entries.at(-1)!.key;
      let bytes = 0;
      for (const entry of entries) bytes += entry.key.length + entry.value.length + 64;
      limit = Math.max(1, Math.min(rowsMax, Math.floor(bytesMax * entries.length / bytes)));
    }
  }

  /** The same without values. */
  *keyPages(
    prefix: Uint8Array,
    rowsMax: number,
  ): Iterable<{ key: Uint8Array; modifyIndex: number }[]> {
    const page = this.#pager("key, modify_index", prefix);
    let after: Uint8Array | undefined;
    while (true) {
      const rows = page(after, rowsMax) as [Uint8Array, number][];
      const keys = rows.map(([key, modifyIndex]) => ({ key, modifyIndex }));
      if (keys.length > 0) yield keys;
      if (keys.length < rowsMax) return;
      after = keys.at(-1)!.key;
    }
  }

  /** Reads one page of the prefix, from its beginning or after a key. */
  #pager(selected: string, prefix: Uint8Array) {
    const { low, high } = keyRange(prefix);
    const order = high ? "AND key < ?2 ORDER BY key LIMIT ?3" : "ORDER BY key LIMIT ?2";
    const from = this.#db.query(`SELECT ${selected} FROM kv WHERE key >= ?1 ${order}`);
    const past = this.#db.query(`SELECT ${selected} FROM kv WHERE key > ?1 ${order}`);
    return (after: Uint8Array | undefined, limit: number) => {
      const statement = after === undefined ? from : past;
      const start = after ?? low;
      return high ? statement.values(start, high, limit) : statement.values(start, limit);
    };
  }

  #remember(name: string, row: KvRow): void {
    if (row.entry.value.length > recentValueBytesMax) {
      this.#recent.delete(name);
      return;
    }
    this.#recent.set(name, row);
    if (this.#recent.size <= recentMax) return;
    // In order of entry: those at the front have waited longest.
    let surplus = recentMax / 8;
    for (const oldest of this.#recent.keys()) {
      this.#recent.delete(oldest);
      if (--surplus === 0) break;
    }
  }
}

function toEntry(values: Values): KvEntry {
  return {
    key: values[1],
    createIndex: values[2],
    modifyIndex: values[3],
    lockIndex: values[4],
    session: values[5],
    flags: values[6] ?? none,
    value: values[7] ?? none,
  };
}

function copyOf(bytes: Uint8Array): Uint8Array {
  return bytes.length === 0 || bytes.length > recentValueBytesMax ? bytes : new Uint8Array(bytes);
}

function blob(bytes: Uint8Array): Uint8Array | null {
  return bytes.length === 0 ? null : bytes;
}
