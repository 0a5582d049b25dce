// Outcomes of writes that their callers may still ask for: a write that is sent again gets the
// outcome it had, and is never applied twice. One row per client, rewritten once per batch.

import type { Database, Statement } from "bun:sqlite";
import { errorCodes } from "#shared/errors.ts";
import { Outcome } from "#proto/messages.js";
import { hashTables, rowHash } from "../hash.ts";
import type { ContentHash } from "../hash.ts";

/** A client that leaves more writes unanswered than this loses the oldest outcomes. */
const outcomesMax = 4_096;

interface ClientRow {
  /** Outcomes below are forgotten: their caller has them. */
  floor: number;
  stampMs: number;
  readonly outcomes: Map<number, Outcome>;
  savedHash: number;
}

const encoder = new TextEncoder();

export class ClientTable {
  readonly #rows = new Map<string, ClientRow>();
  readonly #changed = new Set<string>();
  readonly #expired = new Set<string>();
  readonly #hash: ContentHash;
  readonly #put: Statement;
  readonly #remove: Statement;

  constructor(db: Database, hash: ContentHash) {
    this.#hash = hash;
    this.#put = db.prepare("INSERT OR REPLACE INTO clients (client, outcomes) VALUES (?, ?)");
    this.#remove = db.prepare("DELETE FROM clients WHERE client = ?");
    for (const row of db.query("SELECT client, outcomes FROM clients ORDER BY client").values()) {
      const [client, blob] = row as [string, Uint8Array];
      this.#rows.set(client, { ...decode(blob), savedHash: clientHash(client, blob) });
    }
  }

  /** What to answer without applying: the outcome of the first time, or that it is unknown.
   *  Undefined: this write is new. */
  begin(client: string, sequence: number, floor: number, index: number): Outcome | undefined {
    const row = this.#rows.get(client);
    if (row === undefined) {
      // A client that ever had an answer had a row, so this one was expired.
      return floor > 1 ? unknown(index) : undefined;
    }
    if (sequence < row.floor) return unknown(index);
    return row.outcomes.get(sequence);
  }

  finish(
    client: string,
    sequence: number,
    floor: number,
    stampMs: number,
    outcome: Outcome,
  ): void {
    let row = this.#rows.get(client);
    if (row === undefined) {
      row = { floor: 0, stampMs, outcomes: new Map(), savedHash: 0 };
      this.#rows.set(client, row);
      this.#expired.delete(client);
    }
    row.outcomes.set(sequence, outcome);
    row.stampMs = stampMs;
    row.floor = Math.max(row.floor, floor);
    if (row.outcomes.size > outcomesMax) limit(row);
    this.#changed.add(client);
  }

  /** Forgets clients that wrote nothing since. */
  expire(beforeStampMs: number): void {
    for (const [client, row] of this.#rows) {
      if (row.stampMs >= beforeStampMs) continue;
      this.#rows.delete(client);
      this.#changed.delete(client);
      if (row.savedHash !== 0) this.#hash.remove(row.savedHash);
      this.#expired.add(client);
    }
  }

  get count(): number {
    return this.#rows.size;
  }

  /** Writes what the batch changed. */
  save(): void {
    for (const client of this.#expired) this.#remove.run(client);
    this.#expired.clear();
    for (const client of this.#changed) {
      const row = this.#rows.get(client)!;
      forgetAnswered(row);
      const blob = encode(row);
      this.#put.run(client, blob);
      if (row.savedHash !== 0) this.#hash.remove(row.savedHash);
      row.savedHash = clientHash(client, blob);
      this.#hash.add(row.savedHash);
    }
    this.#changed.clear();
  }
}

/** Takes all outcomes over from another state, so that a restore does not make callers forget. */
export function carryClients(from: Database, to: Database, hash: ContentHash): void {
  const put = to.prepare("INSERT INTO clients (client, outcomes) VALUES (?, ?)");
  const rows = from.query("SELECT client, outcomes FROM clients ORDER BY client");
  for (const row of rows.iterate() as Iterable<{ client: string; outcomes: Uint8Array }>) {
    put.run(row.client, row.outcomes);
    hash.add(clientHash(row.client, row.outcomes));
  }
}

function forgetAnswered(row: ClientRow): void {
  for (const sequence of row.outcomes.keys()) {
    if (sequence < row.floor) row.outcomes.delete(sequence);
  }
}

function limit(row: ClientRow): void {
  forgetAnswered(row);
  while (row.outcomes.size > outcomesMax) {
    row.floor = row.outcomes.keys().reduce((oldest, each) => Math.min(oldest, each)) + 1;
    forgetAnswered(row);
  }
}

function unknown(index: number): Outcome {
  const error =
    "The write was sent again after its outcome was forgotten; it may have been applied";
  return Outcome.create({ index, errorCode: errorCodes["outcome-unknown"], error });
}

// floor f64, stamp f64, then per outcome: sequence f64, index f64, form u8 (0: no, 1: yes,
// 2: length u32 and an encoded Outcome). In order of sequence, so that equal rows are equal bytes.
const headBytes = 16;
const plainBytes = 17;

function encode(row: ClientRow): Uint8Array {
  const sequences = [...row.outcomes.keys()].sort((a, b) => a - b);
  const long = new Map<number, Uint8Array>();
  let size = headBytes + sequences.length * plainBytes;
  for (const sequence of sequences) {
    const outcome = row.outcomes.get(sequence)!;
    if (isPlain(outcome)) continue;
    const bytes = Outcome.encode(outcome).finish();
    long.set(sequence, bytes);
    size += 4 + bytes.length;
  }
  const blob = new Uint8Array(size);
  const view = new DataView(blob.buffer);
  view.setFloat64(0, row.floor);
  view.setFloat64(8, row.stampMs);
  let at = headBytes;
  for (const sequence of sequences) {
    const outcome = row.outcomes.get(sequence)!;
    const bytes = long.get(sequence);
    view.setFloat64(at, sequence);
    view.setFloat64(at + 8, outcome.index);
    view.setUint8(at + 16, bytes === undefined ? Number(outcome.ok) : 2);
    at += plainBytes;
    if (bytes === undefined) continue;
    view.setUint32(at, bytes.length);
    blob.set(bytes, at + 4);
    at += 4 + bytes.length;
  }
  return blob;
}

function decode(blob: Uint8Array): Omit<ClientRow, "savedHash"> {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const outcomes = new Map<number, Outcome>();
  let at = headBytes;
  while (at < blob.length) {
    const sequence = view.getFloat64(at);
    const index = view.getFloat64(at + 8);
    const form = view.getUint8(at + 16);
    at += plainBytes;
    if (form !== 2) {
      outcomes.set(sequence, Outcome.create({ index, ok: form === 1 }));
      continue;
    }
    const length = view.getUint32(at);
    outcomes.set(sequence, Outcome.decode(blob.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return { floor: view.getFloat64(0), stampMs: view.getFloat64(8), outcomes };
}

function isPlain(outcome: Outcome): boolean {
  return outcome.errorCode === 0 && outcome.txn === null && outcome.batch.length === 0;
}

export function clientHash(client: string, blob: Uint8Array): number {
  return rowHash(hashTables.client, encoder.encode(client), blob, 0, 0);
}
