// Keys, values and locks (Consul: agent/consul/state kvs).

import type { Database } from "bun:sqlite";
import type { KvEntry } from "#proto/messages.js";
import { hashTables, rowHash } from "../hash.ts";
import type { Journal } from "../journal.ts";
import { sameBytes } from "../keys.ts";
import { KvRows } from "./kv-rows.ts";
import type { KvRow } from "./kv-rows.ts";
import { LockDelays } from "./lock-delays.ts";
import { Tombstones } from "./tombstones.ts";

/** What a command wants stored under a key. */
export interface KvDraft {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly flags: Uint8Array;
}

const none = new Uint8Array(0);

export class KvTable {
  readonly tombstones: Tombstones;
  readonly lockDelays: LockDelays;
  readonly #journal: Journal;
  readonly #rows: KvRows;

  constructor(db: Database, journal: Journal) {
    this.#journal = journal;
    this.#rows = new KvRows(db);
    this.tombstones = new Tombstones(db, journal);
    this.lockDelays = new LockDelays(db, journal);
    journal.onUndo(() => this.#rows.forget());
  }

  /** Another moment of the file is read from here on. */
  forget(): void {
    this.#rows.forget();
  }

  get(key: Uint8Array): KvEntry | undefined {
    return this.#rows.find(key)?.entry;
  }

  /** ModifyIndex alone, without touching the value. */
  modifyIndex(key: Uint8Array): number | undefined {
    return this.#rows.modifyIndex(key);
  }

  *list(prefix: Uint8Array): Iterable<KvEntry> {
    for (const page of this.pages(prefix, 1_000, 4 << 20)) yield* page;
  }

  /** All entries under the prefix, in pages of about so many rows and bytes. */
  pages(prefix: Uint8Array, rowsMax: number, bytesMax: number): Iterable<KvEntry[]> {
    return this.#rows.pages(prefix, rowsMax, bytesMax);
  }

  /** The same without values. */
  keyPages(prefix: Uint8Array, rowsMax: number) {
    return this.#rows.keyPages(prefix, rowsMax);
  }

  /** Always done; the answer is the entry as it is after that. Keeps the holder of a lock but
   *  starts its lock index anew, as Consul does. */
  set(draft: KvDraft): KvEntry {
    const found = this.#rows.find(draft.key);
    return this.#write(draft, found, found?.entry.session ?? "", 0);
  }

  /** `index` 0: only when the key does not exist. */
  setIf(draft: KvDraft, index: number): KvEntry | undefined {
    const found = this.#rows.find(draft.key);
    if ((found?.entry.modifyIndex ?? 0) !== index) return undefined;
    return this.#write(draft, found, found?.entry.session ?? "", 0);
  }

  /** The caller has made sure that the session exists. */
  lock(draft: KvDraft, session: string): KvEntry | undefined {
    const found = this.#rows.find(draft.key);
    if (found === undefined) return this.#write(draft, found, session, 1);
    const { session: holder, lockIndex } = found.entry;
    if (holder === session) return this.#write(draft, found, session, lockIndex);
    if (holder !== "") return undefined;
    return this.#write(draft, found, session, lockIndex + 1);
  }

  unlock(draft: KvDraft, session: string): KvEntry | undefined {
    const found = this.#rows.find(draft.key);
    if (found === undefined || found.entry.session !== session) return undefined;
    return this.#write(draft, found, "", found.entry.lockIndex);
  }

  delete(key: Uint8Array): void {
    const found = this.#rows.find(key);
    if (found === undefined) return;
    this.tombstones.bury(key);
    this.#rows.remove(found);
    this.#journal.hash.remove(entryHash(found.entry));
    this.#gone(key);
  }

  /** True also when there was nothing. */
  deleteIf(key: Uint8Array, index: number): boolean {
    const found = this.#rows.find(key);
    if (found === undefined) return true;
    if (found.entry.modifyIndex !== index) return false;
    this.delete(key);
    return true;
  }

  deleteTree(prefix: Uint8Array): void {
    const keys: Uint8Array[] = [];
    for (const entry of this.list(prefix)) {
      keys.push(entry.key);
      this.#journal.hash.remove(entryHash(entry));
    }
    if (keys.length === 0) return;
    this.#rows.removeRange(prefix);
    for (const key of keys) this.#gone(key);
    // A stone for the empty prefix would only repeat the index of the table.
    if (prefix.length > 0) this.tombstones.bury(prefix);
  }

  /** What a session that ends leaves behind: its keys freed, or gone with it; for a while nobody
   *  may lock them, so that a holder that does not know yet cannot meet a new one. */
  releaseHeld(session: string, deleteKeys: boolean, delayMs: number): void {
    for (const row of this.#rows.held(session)) {
      const { entry } = row;
      if (deleteKeys) this.delete(entry.key);
      else this.#write(entry, row, "", entry.lockIndex);
      if (delayMs > 0) this.lockDelays.delay(entry.key, delayMs);
    }
  }

  /** A row as it stood in a snapshot. */
  restore(entry: KvEntry): void {
    const row = { ...entry, flags: trimFlags(entry.flags) };
    this.#rows.insert(row);
    this.#journal.hash.add(entryHash(row));
    this.#journal.indexes.raise("kvs", row.modifyIndex);
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
    this.#rows.put(entry, found);
    if (old !== undefined) this.#journal.hash.remove(entryHash(old));
    this.#journal.hash.add(entryHash(entry));
    this.#journal.indexes.raise("kvs", index);
    this.#journal.note({ deleted: false, kind: "kv", kv: entry });
    return entry;
  }

  #gone(key: Uint8Array): void {
    const { index } = this.#journal;
    this.#journal.indexes.raise("kvs", index);
    const entry = { key, value: none, flags: none, session: "", lockIndex: 0, createIndex: 0 };
    this.#journal.note({ deleted: true, kind: "kv", kv: { ...entry, modifyIndex: index } });
  }
}

/** Flags of zero are stored as nothing. */
function trimFlags(flags: Uint8Array): Uint8Array {
  return flags.length > 0 && flags.some((byte) => byte !== 0) ? flags : none;
}

export function entryHash(entry: KvEntry): number {
  let extra = entry.lockIndex;
  for (const byte of entry.flags) extra = (extra * 257 + byte) >>> 0;
  for (let i = 0; i < entry.session.length; i++) {
    extra = (extra * 31 + entry.session.charCodeAt(i)) >>> 0;
  }
  const { key, value, createIndex, modifyIndex } = entry;
  return rowHash(hashTables.kv, key, value, createIndex * 2 ** 20 + extra, modifyIndex);
}
