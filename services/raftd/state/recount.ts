// The content hash of a state file, made anew from its rows: what a damaged value of a copy cannot
// pass, where SQLite's own check looks at the structure only.

import { Database } from "bun:sqlite";
import { ContentHash, hashTables, rowHash, textHash } from "./hash.ts";
import { bodyHash } from "./rows.ts";
import { clientHash } from "./tables/clients.ts";
import { entryHash } from "./tables/kv.ts";

type Value = string | number | Uint8Array;

const none = new Uint8Array(0);

/** Each table's rows and the number of one of them. */
const tables: Record<string, (...row: never[]) => number> = {
  "SELECT key, value, flags, session, lock_index, create_index, modify_index FROM kv": (
    key: Uint8Array,
    value: Uint8Array | null,
    flags: Uint8Array | null,
    session: string,
    lockIndex: number,
    createIndex: number,
    modifyIndex: number,
  ) => {
    const bytes = { key, value: value ?? none, flags: flags ?? none };
    return entryHash({ ...bytes, session, lockIndex, createIndex, modifyIndex });
  },
  "SELECT key, log_index FROM tombstones": (key: Uint8Array, index: number) =>
    rowHash(hashTables.tombstone, key, none, 0, index),
  "SELECT key, until_ms FROM lock_delays": (key: Uint8Array, untilMs: number) =>
    rowHash(hashTables.lockDelay, key, none, 0, untilMs),
  "SELECT peer || ' ' || name, body, create_index, modify_index FROM nodes": bodies("node"),
  "SELECT peer || ' ' || node || ' ' || service_id, body, create_index, modify_index FROM services":
    bodies("service"),
  "SELECT peer || ' ' || node || ' ' || check_id, body, create_index, modify_index FROM checks":
    bodies("check"),
  "SELECT session_id, body, create_index, modify_index FROM sessions": bodies("session"),
  "SELECT node || ' ' || segment, body, 0 AS created, 0 AS modified FROM coordinates": bodies(
    "coordinate",
  ),
  "SELECT kind || ' ' || doc_id, body, create_index, modify_index, secret FROM documents": (
    key: string,
    body: Uint8Array,
    createIndex: number,
    modifyIndex: number,
    secret: Uint8Array,
  ) => bodyHash("document", key, Buffer.concat([body, secret]), createIndex, modifyIndex),
  "SELECT name, value FROM indexes": (name: string, value: number) =>
    textHash(hashTables.index, name, value),
  "SELECT client, outcomes FROM clients": clientHash,
};

function bodies(table: keyof typeof hashTables) {
  return (key: string, body: Uint8Array, createIndex: number, modifyIndex: number) =>
    bodyHash(table, key, body, createIndex, modifyIndex);
}

/** Reads every row. */
export function recount(db: Database): number {
  const hash = new ContentHash();
  for (const [query, numberOf] of Object.entries(tables)) {
    for (const row of db.query<Record<string, Value>, []>(query).iterate()) {
      hash.add((numberOf as (...row: Value[]) => number)(...Object.values(row)));
    }
  }
  return hash.sum;
}

/** What is wrong with a state file, looked at as a whole; undefined: nothing. Throws when it cannot be
 *  looked at. */
export function damageOf(file: string): string | undefined {
  let db: Database | undefined;
  try {
    db = new Database(file, { readonly: true });
    const [verdict] = db.query("PRAGMA quick_check(1)").values();
    if (verdict?.[0] !== "ok") return String(verdict?.[0]);
    const kept = db.query("SELECT content_hash FROM applied").values()[0]?.[0];
    return kept === recount(db) ? undefined : "the rows do not add up to the content hash";
  } catch (error) {
    if (isDamage(error)) return (error as Error).message;
    throw error;
  } finally {
    db?.close();
  }
}

/** SQLite found its own pages damaged. */
export function isDamage(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" && /^SQLITE_(CORRUPT|NOTADB)/.test(code);
}
