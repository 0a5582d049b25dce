// Keys, locks and the tombstones that keep prefix indexes from sliding back
// (Consul: agent/consul/state kvs and graveyard).

import type { Database, Statement } from "bun:sqlite";
import type { KvEntry } from "#proto/messages.js";
import { hashTables, rowHash } from "../hash.ts";
import type { Journal } from "../journal.ts";
import { keyRange, sameBytes } from "../keys.ts";

/** What a command wants stored under a key. */
export interface KvDraft {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly flags: Uint8Array;
}

interface KvRow {
  readonly id: number;
  readonly entry: KvEntry;
}

const none = new Uint8Array(0);
const columns = "id, key, create_index, modify_index, lock_index, session, flags, value";

export class KvTable {
  readonly #journal: Journal;
  readonly #byKey: Statement;
  readonly #indexOf: Statement;
  readonly #insert: Statement;
  readonly #update: Statement;
  readonly #remove: Statement;
  readonly #removeRange: Statement;
  readonly #removeRangeOpen: Statement;
  readonly #held: Statement;
  readonly #stone: Statement;
  readonly #putStone: Statement;
  readonly #delay: Statement;
  readonly #putDelay: Statement;
  readonly #dropDelay: Statement;

  readonly #db: Database;

  constructor(db: Database, journal: Journal) {
    this.#db = db;
    this.#journal = journal;
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
    this.#removeRange = db.prepare("DELETE FROM kv WHERE key >= ? AND key < ?");
    this.#removeRangeOpen = db.prepare("DELETE FROM kv WHERE key >= ?");
    this.#held = db.prepare(
      `SELECT ${columns} FROM kv WHERE session = ? AND session <> '' ORDER BY key`,
    );
    this.#stone = db.prepare("SELECT log_index FROM tombstones WHERE key = ?");
    this.#putStone = db.prepare("INSERT OR REPLACE INTO tombstones (key, log_index) VALUES (?, ?)");
    this.#delay = db.prepare("SELECT until_ms FROM lock_delays WHERE key = ?");
    this.#putDelay = db.prepare("INSERT OR REPLACE INTO lock_delays (key, until_ms) VALUES (?, ?)");
    this.#dropDelay = db.prepare("DELETE FROM lock_delays WHERE key = ?");
  }

  get(key: Uint8Array): KvEntry | undefined {
    return this.#find(key)?.entry;
  }

  *list(prefix: Uint8Array): Iterable<KvEntry> {
    for (const page of this.pages(prefix, 1_000, 4 << 20)) yield* page;
  }

  /** ModifyIndex alone, without touching the value. */
  modifyIndex(key: Uint8Array): number | undefined {
    return this.#indexOf.values(key)[0]?.[0] as number | undefined;
  }

  /** All entries under the prefix, in pages of about so many rows and bytes. */
  *pages(prefix: Uint8Array, rowsMax: number, bytesMax: number): Iterable<KvEntry[]> {
    const page = this.#pager(columns, prefix);
    let limit = 32;
    let after: Uint8Array | undefined;
    while (true) {
      const entries = (page(after, limit) as unknown as KvRecord[]).map(toEntry);
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
      const rows = page(after, rowsMax) as unknown as KvRecord[];
      const keys = rows.map((row) => ({ key: row.key, modifyIndex: row.modify_index }));
      if (keys.length > 0) yield keys;
      if (keys.length < rowsMax) return;
      after = keys.at(-1)!.key;
    }
  }

  /** Always done; the answer is the entry as it is after that. Keeps the holder of a lock but
   *  starts its lock index anew, as Consul does. */
  set(draft: KvDraft): KvEntry {
    const found = this.#find(draft.key);
    return this.#write(draft, found, found?.entry.session ?? "", 0);
  }

  /** `index` 0: only when the key does not exist. */
  setIf(draft: KvDraft, index: number): KvEntry | undefined {
    const found = this.#find(draft.key);
    if ((found?.entry.modifyIndex ?? 0) !== index) return undefined;
    return this.#write(draft, found, found?.entry.session ?? "", 0);
  }

  /** The caller has made sure that the session exists. */
  lock(draft: KvDraft, session: string): KvEntry | undefined {
    const found = this.#find(draft.key);
    if (found === undefined) return this.#write(draft, found, session, 1);
    const { session: holder, lockIndex } = found.entry;
    if (holder === session) return this.#write(draft, found, session, lockIndex);
    if (holder !== "") return undefined;
    return this.#write(draft, found, session, lockIndex + 1);
  }

  unlock(draft: KvDraft, session: string): KvEntry | undefined {
    const found = this.#find(draft.key);
    if (found === undefined || found.entry.session !== session) return undefined;
    return this.#write(draft, found, "", found.entry.lockIndex);
  }

  delete(key: Uint8Array): void {
    const found = this.#find(key);
    if (found === undefined) return;
    this.#bury(key);
    this.#remove.run(found.id);
    this.#gone(found.entry);
    this.#journal.indexes.raise("kvs", this.#journal.index);
  }

  /** True also when there was nothing. */
  deleteIf(key: Uint8Array, index: number): boolean {
    const found = this.#find(key);
    if (found === undefined) return true;
    if (found.entry.modifyIndex !== index) return false;
    this.delete(key);
    return true;
  }

  deleteTree(prefix: Uint8Array): void {
    const gone: KvEntry[] = [];
    for (const entry of this.list(prefix)) {
      gone.push({ ...entry, value: none });
      this.#journal.hash.remove(entryHash(entry));
    }
    if (gone.length === 0) return;
    const { low, high } = keyRange(prefix);
    if (high) this.#removeRange.run(low, high);
    else this.#removeRangeOpen.run(low);
    for (const entry of gone) this.#journal.note(deletion(entry.key, this.#journal.index));
    // A stone for the empty prefix would only repeat the index of the table.
    if (prefix.length > 0) this.#bury(prefix);
    this.#journal.indexes.raise("kvs", this.#journal.index);
  }

  /** What a session that ends leaves behind: its keys freed, or gone with it; for a while nobody
   *  may lock them, so that a holder that does not know yet cannot meet a new one. */
  releaseHeld(session: string, deleteKeys: boolean, delayMs: number): void {
    const held = this.#held.all(session) as unknown as KvRecord[];
    for (const record of held) {
      const entry = toEntry(record);
      if (deleteKeys) this.delete(entry.key);
      else this.#write(entry, { id: record.id, entry }, "", entry.lockIndex);
      if (delayMs > 0) this.#delayLock(entry.key, this.#journal.stampMs + delayMs);
    }
  }

  /** Whether a lock delay still runs for the key, by replicated time. */
  isDelayed(key: Uint8Array): boolean {
    const found = this.#delay.values(key)[0];
    return found !== undefined && (found[0] as number) > this.#journal.stampMs;
  }

  /** Forgets tombstones up to this index. */
  reap(throughIndex: number): void {
    const select = "SELECT key, log_index FROM tombstones WHERE log_index <= ? ORDER BY log_index";
    for (const [key, index] of this.#db.query(select).values(throughIndex)) {
      this.#journal.hash.remove(stoneHash(key as Uint8Array, index as number));
    }
    this.#db.query("DELETE FROM tombstones WHERE log_index <= ?").run(throughIndex);
  }

  /** The index of the youngest tombstone under the prefix, 0 when there is none. */
  stoneIndex(prefix: Uint8Array): number {
    const { low, high } = keyRange(prefix);
    const select = "SELECT max(log_index) FROM tombstones WHERE key >= ?";
    const found = high
      ? this.#db.query(`${select} AND key < ?`).values(low, high)
      : this.#db.query(select).values(low);
    return (found[0]?.[0] as number | null) ?? 0;
  }

  *stones(): Iterable<{ key: Uint8Array; index: number }> {
    for (
      const row of this.#db.query("SELECT key, log_index FROM tombstones ORDER BY key").iterate()
    ) {
      const { key, log_index: index } = row as { key: Uint8Array; log_index: number };
      yield { key, index };
    }
  }

  /** A row as it stood in a snapshot. */
  restore(entry: KvEntry): void {
    const { key, createIndex, modifyIndex, lockIndex, session } = entry;
    const flags = trimFlags(entry.flags);
    this.#insert.run(
      key,
      createIndex,
      modifyIndex,
      lockIndex,
      session,
      blob(flags),
      blob(entry.value),
    );
    this.#journal.hash.add(entryHash({ ...entry, flags }));
    this.#journal.indexes.raise("kvs", modifyIndex);
  }

  restoreStone(key: Uint8Array, index: number): void {
    this.#putStone.run(key, index);
    this.#journal.hash.add(stoneHash(key, index));
    this.#journal.indexes.raise("tombstones", index);
  }

  /** Reads one page of the prefix, from its beginning or after a key. */
  #pager(selected: string, prefix: Uint8Array) {
    const { low, high } = keyRange(prefix);
    const bound = high ? "AND key < ?2" : "AND ?2 IS NULL";
    const order = `${bound} ORDER BY key LIMIT ?3`;
    const from = this.#db.query(`SELECT ${selected} FROM kv WHERE key >= ?1 ${order}`);
    const past = this.#db.query(`SELECT ${selected} FROM kv WHERE key > ?1 ${order}`);
    return (after: Uint8Array | undefined, limit: number) =>
      after === undefined
        ? from.all(low, high ?? null, limit)
        : past.all(after, high ?? null, limit);
  }

  #find(key: Uint8Array): KvRow | undefined {
    const row = this.#byKey.values(key)[0] as KvValues | undefined;
    if (row === undefined) return undefined;
    return {
      id: row[0],
      entry: {
        key,
        createIndex: row[2],
        modifyIndex: row[3],
        lockIndex: row[4],
        session: row[5],
        flags: row[6] ?? none,
        value: row[7] ?? none,
      },
    };
  }

  #write(draft: KvDraft, found: KvRow | undefined, session: string, lockIndex: number): KvEntry {
    const { index } = this.#journal;
    const { key, value } = draft;
    const flags = trimFlags(draft.flags);
    const old = found?.entry;
    if (
      old !== undefined && old.lockIndex === lockIndex && old.session === session &&
      sameBytes(old.flags, flags) && sameBytes(old.value, value)
    ) return old;
    const createIndex = old?.createIndex ?? index;
    const entry = { key, value, flags, session, lockIndex, createIndex, modifyIndex: index };
    if (found === undefined) {
      this.#insert.run(key, createIndex, index, lockIndex, session, blob(flags), blob(value));
    } else {
      this.#update.run(index, lockIndex, session, blob(flags), blob(value), found.id);
      this.#journal.hash.remove(entryHash(found.entry));
    }
    this.#journal.hash.add(entryHash(entry));
    this.#journal.indexes.raise("kvs", index);
    this.#journal.note({ deleted: false, kind: "kv", kv: entry });
    return entry;
  }

  #gone(entry: KvEntry): void {
    this.#journal.hash.remove(entryHash(entry));
    this.#journal.note(deletion(entry.key, this.#journal.index));
  }

  #bury(key: Uint8Array): void {
    const { index } = this.#journal;
    const old = this.#stone.values(key)[0]?.[0] as number | undefined;
    if (old !== undefined) this.#journal.hash.remove(stoneHash(key, old));
    this.#putStone.run(key, index);
    this.#journal.hash.add(stoneHash(key, index));
    this.#journal.indexes.raise("tombstones", index);
  }

  #delayLock(key: Uint8Array, untilMs: number): void {
    const expired =
      "SELECT key, until_ms FROM lock_delays WHERE until_ms <= ? ORDER BY until_ms, key";
    for (const [old, oldMs] of this.#db.query(expired).values(this.#journal.stampMs)) {
      this.#journal.hash.remove(delayHash(old as Uint8Array, oldMs as number));
      this.#dropDelay.run(old as Uint8Array);
    }
    const replaced = this.#delay.values(key)[0]?.[0] as number | undefined;
    if (replaced !== undefined) this.#journal.hash.remove(delayHash(key, replaced));
    this.#putDelay.run(key, untilMs);
    this.#journal.hash.add(delayHash(key, untilMs));
  }
}

interface KvRecord {
  readonly id: number;
  readonly key: Uint8Array;
  readonly create_index: number;
  readonly modify_index: number;
  readonly lock_index: number;
  readonly session: string;
  readonly flags: Uint8Array | null;
  readonly value: Uint8Array | null;
}

type KvValues = [
  number,
  Uint8Array,
  number,
  number,
  number,
  string,
  Uint8Array | null,
  Uint8Array | null,
];

function toEntry(row: KvRecord): KvEntry {
  return {
    key: row.key,
    createIndex: row.create_index,
    modifyIndex: row.modify_index,
    lockIndex: row.lock_index,
    session: row.session,
    flags: row.flags ?? none,
    value: row.value ?? none,
  };
}

function deletion(key: Uint8Array, index: number) {
  return {
    deleted: true,
    kind: "kv",
    kv: {
      key,
      value: none,
      flags: none,
      session: "",
      lockIndex: 0,
      createIndex: 0,
      modifyIndex: index,
    },
  } as const;
}

/** Flags of zero are stored as nothing. */
function trimFlags(flags: Uint8Array): Uint8Array {
  return flags.some((byte) => byte !== 0) ? flags : none;
}

function blob(bytes: Uint8Array): Uint8Array | null {
  return bytes.length === 0 ? null : bytes;
}

function entryHash(entry: KvEntry): number {
  let extra = entry.lockIndex;
  for (const byte of entry.flags) extra = (extra * 257 + byte) >>> 0;
  for (let i = 0; i < entry.session.length; i++) {
    extra = (extra * 31 + entry.session.charCodeAt(i)) >>> 0;
  }
  const { key, value, createIndex, modifyIndex } = entry;
  return rowHash(hashTables.kv, key, value, createIndex * 2 ** 20 + extra, modifyIndex);
}

function stoneHash(key: Uint8Array, index: number): number {
  return rowHash(hashTables.tombstone, key, none, 0, index);
}

function delayHash(key: Uint8Array, untilMs: number): number {
  return rowHash(hashTables.lockDelay, key, none, 0, untilMs);
}
