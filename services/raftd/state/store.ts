// The replicated state: commands in, deterministic changes and outcomes out, one SQLite file. No
// clock and no chance: the same entries give the same rows on every server.

import { Database } from "bun:sqlite";
import type { Statement } from "bun:sqlite";
import { CuriaError } from "#shared/errors.ts";
import { LogRecord, ReadReply } from "#proto/messages.js";
import type { Outcome, Query, ReadReplyInput } from "#proto/messages.js";
import { advance, AppliedRow, readApplied } from "./applied.ts";
import { Applier } from "./apply.ts";
import { knownCommand } from "./command-kinds.ts";
import { formatHash } from "./hash.ts";
import { Journal } from "./journal.ts";
import type { StateChange } from "./journal.ts";
import { Readers } from "./readers.ts";
import { slicesOf } from "./read-slices.ts";
import { Reads, toReply } from "./reads.ts";
import { prepareSchema } from "./schema.ts";
import { isDiskFull, Space } from "./space.ts";
import type { Applied, ApplyEntry, ApplyResult } from "./store-types.ts";
export type { ChangeGroup } from "./journal.ts";
export type { Applied, AppliedChanges, ApplyEntry, ApplyResult } from "./store-types.ts";
import type { Subscription } from "./subscription.ts";
import { openTables } from "./tables.ts";
import type { Tables } from "./tables.ts";
import { ClientTable } from "./tables/clients.ts";
import { RestorePieces } from "./tables/restore-pieces.ts";
import { isReadOnly, runTxn, txnFaults } from "./txn.ts";

/** Pages of the file kept in memory, in KiB. */
const cacheKib = 16 * 1024;
/** What hangs on one open file and must be made anew after a failed transaction. */
interface Parts {
  readonly journal: Journal;
  readonly tables: Tables;
  readonly clients: ClientTable;
  readonly applier: Applier;
  readonly reads: Reads;
}

export type StateStore = Store;

export class Store {
  readonly #db: Database;
  readonly #path: string;
  readonly #readers: Readers | undefined;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #appliedRow: AppliedRow;
  readonly #space: Space;
  #parts: Parts;
  #applied: Applied;
  #durableIndex: number;

  /** `:memory:` keeps nothing. */
  constructor(path: string) {
    this.#path = path;
    this.#db = new Database(path);
    // First of all, since a file that is not empty keeps what it has: lets space.ts do its work.
    this.#db.run("PRAGMA auto_vacuum = INCREMENTAL");
    this.#db.run("PRAGMA journal_mode = WAL");
    this.#db.run("PRAGMA synchronous = NORMAL");
    // The shell checkpoints when it suits: in the middle of a batch it would hold up every writer.
    this.#db.run("PRAGMA wal_autocheckpoint = 0");
    // What one burst needed is given back when the log begins anew.
    this.#db.run("PRAGMA journal_size_limit = 4194304");
    this.#db.run(`PRAGMA cache_size = -${cacheKib}`);
    // Mapped pages would be looked up in the write-ahead log at every read, even those in the cache,
    // at a cost that grows with the log (measured: 80 µs instead of 17 per key set).
    this.#db.run("PRAGMA mmap_size = 0");
    prepareSchema(this.#db);
    this.#begin = this.#db.prepare("BEGIN");
    this.#commit = this.#db.prepare("COMMIT");
    this.#appliedRow = new AppliedRow(this.#db);
    this.#space = new Space(this.#db);
    this.#parts = openParts(this.#db);
    this.#applied = readApplied(this.#db, this.#parts.journal);
    this.#durableIndex = 0;
    this.#readers = path === ":memory:" ? undefined : new Readers(path);
  }

  applied(): Applied {
    return this.#applied;
  }

  /** All entries in one transaction: either all of them are applied or, when the disk fails, none. */
  apply(entries: readonly ApplyEntry[]): ApplyResult {
    const outcomes: (Outcome | undefined)[] = [];
    const { journal } = this.#parts;
    try {
      this.#begin.run();
      let applied = this.#applied;
      for (const entry of entries) {
        if (entry.index <= applied.index) {
          throw new Error(`Expected an entry after ${applied.index} but found ${entry.index}`);
        }
        outcomes.push(this.#applyEntry(entry, Math.max(applied.stampMs, entry.stampMs)));
        applied = advance(applied, entry);
      }
      this.#save(applied);
      this.#commit.run();
      this.#applied = applied;
    } catch (error) {
      this.#recover();
      throw asDiskError(error);
    }
    this.#space.trimSlice();
    return { outcomes, changes: journal.take() };
  }

  /** Rows and their index; with the index of rows that the caller has, `unchanged` and no rows when
   *  the answer would be of that index. Fills `index`, `generation`, `applied_index` and
   *  `not_found` of the meta. */
  read(query: Query, knownIndex = 0): ReadReply {
    const { reads, tables } = this.#parts;
    // Rows from before a restore may have the index of other rows after it.
    if (knownIndex <= this.#applied.restoredIndex) knownIndex = 0;
    if (knownIndex > 0) {
      const index = reads.quickIndexOf(query);
      if (index !== undefined && Math.max(1, index) === knownIndex) {
        return { ...toReply({ index, rows: {} }, this.#applied), unchanged: true };
      }
    }
    if (query.kind === "txn") return this.#readTxn(query);
    const slices = slicesOf(query, tables, reads);
    if (slices === undefined) return toReply(reads.read(query), this.#applied);
    const rows: ReadReplyInput = {};
    let index = 0;
    for (const slice of slices) {
      append(rows, slice.rows);
      index = slice.index ?? index;
    }
    if (knownIndex > 0 && Math.max(1, index) === knownIndex) {
      return { ...toReply({ index, rows: {} }, this.#applied), unchanged: true };
    }
    return toReply({ index, rows }, this.#applied);
  }

  /** The same answer in parts that each take a few milliseconds, all from this moment, however long
   *  the caller takes; the last part, and only that, has `meta`. Leave the loop to give up. */
  *readSlices(query: Query): Iterable<ReadReply> {
    const applied = this.#applied;
    const reader = this.#readers?.take(this.#parts.journal.indexes);
    try {
      const { tables, reads } = reader ?? this.#parts;
      const slices = slicesOf(query, tables, reads) ?? [reads.read(query)];
      for (const slice of slices) {
        if (slice.index === undefined) yield ReadReply.create(slice.rows);
        else yield toReply(slice, applied);
      }
    } finally {
      if (reader !== undefined) this.#readers!.give(reader);
    }
  }

  /** All rows that a subscriber wants, in parts. A part has the rows of the moment when it is asked
   *  for, so that a slow subscriber holds nothing up: the caller sends all changes since the first
   *  part after the last one, and then the view is right. */
  viewOf(subscription: Subscription): Iterable<StateChange[]> {
    return subscription.view(this.#parts.tables);
  }

  /** Consul's index of the answer: the rows are read only where nothing else tells it. */
  indexOf(query: Query): number {
    const quick = this.#parts.reads.quickIndexOf(query);
    return quick === undefined ? this.read(query).meta!.index : Math.max(1, quick);
  }

  /** The name of the node that a text names, by name or ID: for watches. */
  nodeName(peer: string, nameOrId: string): string | undefined {
    return this.#parts.tables.nodes.lookUp(peer, nameOrId)?.node;
  }

  /** Rows for what looks at the state from beside it: change streams, archives, duties. */
  get tables(): Tables {
    return this.#parts.tables;
  }

  /** Moves the write-ahead log into the file and syncs both. Returns the index up to which the
   *  state is durable: an older one while a long read keeps pages from being moved. "empty" gives
   *  the space of the log back as well, when nobody reads in it. */
  checkpoint(log: "kept" | "empty" = "kept"): number {
    const index = this.#applied.index;
    const mode = log === "empty" ? "TRUNCATE" : "PASSIVE";
    const [row] = this.#db.query(`PRAGMA wal_checkpoint(${mode})`).values();
    const [busy, pages, moved] = (row ?? [1, 0, 0]) as [number, number, number];
    if (busy === 0 && moved >= pages) this.#durableIndex = index;
    this.#space.measure();
    return this.#durableIndex;
  }

  /** Gives the space of deleted rows back: one slice with every batch, more when the shell asks. */
  get space(): Space {
    return this.#space;
  }

  /** What no log decided: other members from the next index on, after the quorum was lost. */
  recover(configuration: Uint8Array): void {
    const index = this.#applied.index + 1;
    const generation = this.#applied.generation + 1;
    const applied = {
      ...this.#applied,
      index,
      configuration,
      configurationIndex: index,
      generation,
    };
    this.#appliedRow.save(applied, this.#parts.journal.hash.sum);
    this.#applied = applied;
  }

  /** A compact copy of all that is applied, as a state file of its own; not synced. */
  snapshotTo(file: string): void {
    this.#db.query("VACUUM INTO ?").run(file);
  }

  /** Equal on servers whose applied index is equal. */
  contentHash(): string {
    return formatHash(this.#parts.journal.hash.sum);
  }

  get path(): string {
    return this.#path;
  }

  close(): void {
    this.#readers?.close();
    this.#db.close();
  }

  #applyEntry(entry: ApplyEntry, stampMs: number): Outcome | undefined {
    if (entry.kind !== "command") return undefined;
    const { journal, clients, applier } = this.#parts;
    const { client, sequence, floor, command } = LogRecord.decode(entry.bytes);
    journal.index = entry.index + this.#applied.indexBase;
    journal.stampMs = stampMs;
    if (client === "") {
      const outcome = applier.apply(knownCommand(command, entry.index));
      journal.finishIndex();
      return outcome;
    }
    const known = clients.begin(client, sequence, floor, journal.index);
    if (known !== undefined) return known;
    const outcome = applier.apply(knownCommand(command, entry.index));
    journal.finishIndex();
    clients.finish(client, sequence, floor, stampMs, outcome);
    return outcome;
  }

  #save(applied: Applied): void {
    const { journal, clients } = this.#parts;
    journal.indexes.save();
    clients.save();
    this.#appliedRow.save(applied, journal.hash.sum);
  }

  /** Memory follows the file again after a transaction that failed. */
  #recover(): void {
    if (this.#db.inTransaction) this.#db.run("ROLLBACK");
    this.#parts = openParts(this.#db);
    this.#applied = readApplied(this.#db, this.#parts.journal);
  }

  #readTxn(query: Query): ReadReply {
    const command = query.txn!;
    if (!isReadOnly(command)) {
      throw new CuriaError("invalid-argument", "Expected only reads in a read-only transaction");
    }
    const faults = txnFaults(command, this.#parts.tables) ?? [];
    const txn = faults.length > 0 ? { errors: faults } : runTxn(command, this.#parts.applier);
    return toReply({ index: 1, rows: { txn } }, this.#applied);
  }
}

function openParts(db: Database): Parts {
  const journal = new Journal(db);
  const tables = openTables(db, journal);
  const clients = new ClientTable(db, journal.hash);
  const applier = new Applier(tables, clients, new RestorePieces(db), journal);
  return { journal, tables, clients, applier, reads: new Reads(tables, journal.indexes) };
}

function append(all: ReadReplyInput, part: ReadReplyInput): void {
  const target = all as Record<string, unknown[] | undefined>;
  for (const [name, rows] of Object.entries(part as Record<string, unknown[]>)) {
    const list = target[name];
    if (list === undefined) target[name] = rows;
    else for (const row of rows) list.push(row);
  }
}

function asDiskError(error: unknown): unknown {
  if (!isDiskFull(error)) return error;
  const options = { cause: error };
  return new CuriaError("disk-full", "The disk is full: the state file cannot grow", options);
}
