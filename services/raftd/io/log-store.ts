// log.db: the Raft log in SQLite, one row an entry, each with a checksum. All that waits is one
// transaction (group commit). Nothing here knows of threads: log-writer.ts runs it in a worker.

import { Database, type Statement } from "bun:sqlite";
import { rmSync } from "node:fs";
import { CuriaError } from "#shared/errors.ts";
import { type LogStep, LogWeight } from "../core/raft/log-weight.ts";
import type { TermStart } from "../core/raft/machine.ts";
import { decodeConfiguration } from "../core/raft/membership.ts";
import type { Configuration, Entry, LogPosition } from "../core/raft/messages.ts";
import { decodeEntry, encodeEntry } from "./entry-codec.ts";

/** One change of the log, done in this order: reset, truncate, append. */
export interface LogChange {
  reset?: LogPosition;
  truncateFrom?: number;
  /** Consecutive. */
  entries: readonly Entry[];
}

/** What the log holds, as the core wants to know it at start. */
export interface LogContent {
  base: LogPosition;
  lastIndex: number;
  termStarts: TermStart[];
  /** Configurations of the entries after `base`, ascending. */
  configurations: Configuration[];
  /** Stamp of the last entry; 0 without entries. */
  stampMs: number;
  steps: readonly LogStep[];
  /** Set when damaged entries were cut off: where the log ended before. */
  promised?: LogPosition;
}

interface Row {
  idx: number;
  term: number;
  is_configuration: number;
  crc: number;
  record: Uint8Array;
}

const schema = `
  CREATE TABLE IF NOT EXISTS entries (
    idx INTEGER PRIMARY KEY, term INTEGER NOT NULL, is_configuration INTEGER NOT NULL,
    crc INTEGER NOT NULL, record BLOB NOT NULL);
  -- 'base' is the position before the first entry; 'promised' where the log ended before damage.
  CREATE TABLE IF NOT EXISTS positions (name TEXT PRIMARY KEY, idx INTEGER, term INTEGER);
  INSERT OR IGNORE INTO positions VALUES ('base', 0, 0), ('promised', 0, 0);
`;

export class DamagedPages extends Error {
  readonly code = "SQLITE_CORRUPT";
}

export class LogStore {
  readonly #db: Database;
  readonly #insert: Statement;
  readonly #truncate: Statement;
  readonly #trim: Statement;
  readonly #sizes: Statement<{ idx: number; length: number }, [number, number]>;
  readonly #read: Statement<Row, [number, number]>;
  #compactThrough = 0;
  #hasTrimmed = false;

  constructor(path: string) {
    this.#db = new Database(path, { create: true, strict: true });
    this.#db.run("PRAGMA auto_vacuum = INCREMENTAL");
    this.#db.run("PRAGMA journal_mode = WAL");
    this.#db.run("PRAGMA synchronous = FULL");
    // What one burst needed is given back when the log begins anew.
    this.#db.run(`PRAGMA journal_size_limit = ${WAL_BYTES_KEPT}`);
    this.#db.run("PRAGMA wal_autocheckpoint = 4000");
    this.#db.run(schema);
    this.#insert = this.#db.query("INSERT INTO entries VALUES (?, ?, ?, ?, ?)");
    this.#truncate = this.#db.query("DELETE FROM entries WHERE idx >= ?");
    this.#trim = this.#db.query("DELETE FROM entries WHERE idx <= ?");
    this.#sizes = this.#db.query(
      "SELECT idx, length(record) AS length FROM entries WHERE idx <= ? ORDER BY idx LIMIT ?",
    );
    this.#read = this.#db.query(
      "SELECT idx, term, is_configuration, crc, record FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?",
    );
  }

  /** A log without entries after `base` that once went as far as `promised`; not synced. */
  static makeAfterDamage(path: string, base: LogPosition, promised: LogPosition): void {
    rmSync(path, { force: true });
    const store = new LogStore(path);
    store.#setPosition("base", base);
    store.#setPosition("promised", promised);
    store.#db.run("PRAGMA journal_mode = DELETE");
    store.close();
  }

  /** Drops all of the log, as far as `promised`, in one transaction. */
  forget(promised: LogPosition): void {
    this.#db.transaction(() => {
      this.#db.run("DELETE FROM entries");
      this.#setPosition("base", { index: 0, term: 0 });
      this.#setPosition("promised", promised);
    })();
  }

  /** Returns when the changes are on the disk, all in one transaction. Throws on a disk that is full
   *  or broken, with nothing changed. */
  write(changes: readonly LogChange[]): void {
    this.#db.run("BEGIN IMMEDIATE");
    try {
      for (const change of changes) this.#apply(change);
      this.#db.run("COMMIT");
    } catch (error) {
      if (this.#db.inTransaction) this.#db.run("ROLLBACK");
      throw error;
    }
  }

  #apply({ reset, truncateFrom, entries }: LogChange): void {
    if (reset !== undefined) {
      this.#db.run("DELETE FROM entries");
      this.#setPosition("base", reset);
    }
    if (truncateFrom !== undefined) this.#truncate.run(truncateFrom);
    for (const entry of entries) {
      const record = encodeEntry(entry);
      const isConfiguration = entry.kind === "configuration" ? 1 : 0;
      this.#insert.run(entry.index, entry.term, isConfiguration, Bun.hash.crc32(record), record);
    }
  }

  /** The entries from `fromIndex` on, at least one if there is one, within the bounds. Stops before
   *  an entry that fails its checksum; throws when that is the first. */
  read(fromIndex: number, countMax: number, bytesMax: number): Entry[] {
    const entries: Entry[] = [];
    let bytes = 0;
    for (const row of this.#read.iterate(fromIndex, countMax)) {
      if (row.idx !== fromIndex + entries.length) break;
      bytes += row.record.byteLength;
      if (entries.length > 0 && bytes > bytesMax) break;
      if (!isWhole(row)) {
        if (entries.length > 0) break;
        throw new CuriaError(
          "internal",
          `log.db: the entry at index ${row.idx} fails its checksum`,
        );
      }
      entries.push(decodeEntry(row.record));
    }
    return entries;
  }

  /** Verifies every entry; cuts the log at the first damaged one and says so. Throws when SQLite
   *  finds its own pages damaged, since whole entries may be missing then. */
  open(): LogContent {
    const [verdict] = this.#db.query("PRAGMA quick_check(1)").values();
    if (verdict?.[0] !== "ok") throw new DamagedPages(`log.db is damaged: ${verdict?.[0]}`);
    const base = this.#position("base");
    // What an earlier run compacted and had not deleted yet.
    this.#compactThrough = base.index;
    const termStarts: TermStart[] = [];
    const configurations: Configuration[] = [];
    const weight = new LogWeight();
    let last: LogPosition = base;
    let lastRecord: Uint8Array | undefined;
    let damaged: number | undefined;
    for (const row of this.#read.iterate(base.index + 1, -1)) {
      if (row.idx !== last.index + 1 || !isWhole(row)) {
        damaged = last.index + 1;
        break;
      }
      if (last === base || row.term !== last.term) {
        termStarts.push({ term: row.term, firstIndex: row.idx });
      }
      if (row.is_configuration === 1) {
        configurations.push(decodeConfiguration(row.idx, decodeEntry(row.record).bytes));
      }
      last = { index: row.idx, term: row.term };
      lastRecord = row.record;
      weight.add(row.idx, row.record.byteLength);
    }
    if (damaged !== undefined) this.#cutAt(damaged);
    const stampMs = lastRecord === undefined ? 0 : decodeEntry(lastRecord).stampMs;
    const { steps } = weight;
    const content = { base, lastIndex: last.index, termStarts, configurations, stampMs, steps };
    const promised = this.#position("promised");
    if (isAhead(promised, last)) return { ...content, promised };
    return content;
  }

  #cutAt(index: number): void {
    const end = this.#db.query<LogPosition, []>(
      `SELECT idx AS "index", term FROM entries ORDER BY idx DESC LIMIT 1`,
    ).get()!;
    this.#db.transaction(() => {
      if (isAhead(end, this.#position("promised"))) this.#setPosition("promised", end);
      this.#truncate.run(index);
    })();
  }

  #position(name: "base" | "promised"): LogPosition {
    return this.#db.query<LogPosition, [string]>(
      `SELECT idx AS "index", term FROM positions WHERE name = ?`,
    ).get(name)!;
  }

  #setPosition(name: "base" | "promised", { index, term }: LogPosition): void {
    this.#db.run("UPDATE positions SET idx = ?, term = ? WHERE name = ?", [index, term, name]);
  }

  /** The position becomes the base; the rows below go with `trimSlice`. */
  compact(through: LogPosition): void {
    if (through.index > this.#position("base").index) this.#setPosition("base", through);
    this.#compactThrough = Math.max(this.#compactThrough, through.index);
  }

  /** Deletes some of what compaction freed, a few milliseconds' worth. True when more is left. */
  trimSlice(): boolean {
    // A slice that gets lost is done again: it need not wait for the disk.
    this.#db.run("PRAGMA synchronous = NORMAL");
    try {
      return this.#trimSome();
    } finally {
      this.#db.run("PRAGMA synchronous = FULL");
    }
  }

  #trimSome(): boolean {
    const through = this.#trimThrough();
    if (through !== undefined) {
      this.#trim.run(through);
      return this.#hasTrimmed = true;
    }
    const free = this.#db.query<{ freelist_count: number }, []>("PRAGMA freelist_count").get()!;
    // Some free pages stay, since a running log needs them again at once.
    if (free.freelist_count > FREE_PAGES_KEPT) {
      this.#db.run(`PRAGMA incremental_vacuum(${VACUUM_PAGES})`);
      return this.#hasTrimmed = true;
    }
    // The file itself shrinks only now.
    if (this.#hasTrimmed) this.#db.query("PRAGMA wal_checkpoint(TRUNCATE)").all();
    return this.#hasTrimmed = false;
  }

  /** The last entry of the next slice: few when they are large. */
  #trimThrough(): number | undefined {
    let through: number | undefined;
    let bytes = 0;
    for (const { idx, length } of this.#sizes.iterate(this.#compactThrough, TRIM_ROWS)) {
      through = idx;
      bytes += length;
      if (bytes > TRIM_BYTES) break;
    }
    return through;
  }

  close(): void {
    this.#db.close();
  }
}

/** The columns repeat what the record says, and are not under its checksum. */
function isWhole({ idx, term, is_configuration: isConfiguration, crc, record }: Row): boolean {
  if ((Bun.hash.crc32(record) >>> 0) !== crc) return false;
  const entry = decodeEntry(record);
  return entry.index === idx && entry.term === term &&
    (entry.kind === "configuration") === (isConfiguration === 1);
}

const TRIM_ROWS = 500;
const TRIM_BYTES = 2 * 1024 * 1024;
const VACUUM_PAGES = 250;
const FREE_PAGES_KEPT = 1_000;
const WAL_BYTES_KEPT = 4 * 1024 * 1024;

/** As logs compare: by term, then by length. */
function isAhead(a: LogPosition, b: LogPosition): boolean {
  return a.term > b.term || (a.term === b.term && a.index > b.index);
}
