// The two stores of log, term and vote behind one face: the simulator's disk, and raftd's log.db and
// vote file.

import { Database } from "bun:sqlite";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Random } from "#shared/random.ts";
import type { HardState, TermStart } from "../../services/raftd/core/raft/machine.ts";
import type { Configuration, Entry, LogPosition } from "../../services/raftd/core/raft/messages.ts";
import { LogStore } from "../../services/raftd/io/log-store.ts";
import { VoteFile } from "../../services/raftd/io/vote-file.ts";
import { emptyStateFile, SimDisk } from "./disk.ts";
import { kvStates } from "./kv.ts";

export interface Change {
  hardState?: HardState;
  reset?: LogPosition;
  truncateFrom?: number;
  entries?: readonly Entry[];
}

/** What the core hears at the start. */
export interface Opened {
  hardState: HardState;
  base: LogPosition;
  lastIndex: number;
  termStarts: readonly TermStart[];
  configurations: readonly Configuration[];
  stampMs: number;
  /** Undefined also where the log has grown beyond it, which the core takes for the same. */
  promised: LogPosition | undefined;
  entries: readonly Entry[];
}

export interface Subject {
  /** Durable when it returns. */
  write(change: Change): void;
  compact(through: LogPosition): void;
  /** The process ends and starts again; with a damaged entry, if one is named. */
  reopen(damagedIndex?: number): Opened;
}

export class SimSubject implements Subject {
  readonly #disk = new SimDisk(kvStates);
  #seq = 0;

  write({ entries = [], ...change }: Change): void {
    this.#disk.write({ kind: "persist", seq: ++this.#seq, ...change, entries });
    this.#disk.sync(this.#seq);
  }

  compact({ index, term }: LogPosition): void {
    this.#disk.compact(index, term);
  }

  reopen(damagedIndex?: number): Opened {
    const disk = this.#disk;
    disk.crash(new Random(1));
    if (damagedIndex !== undefined) {
      // The entry that is hit is drawn: draw until it is that one.
      const { lastIndex, base } = disk;
      const at = (damagedIndex - base.index - 0.5) / (lastIndex - base.index);
      disk.damage({ below: (n: number) => Math.floor(at * n) } as Random, 0);
    }
    const restored = disk.restored(emptyStateFile(kvStates), new Random(1));
    const { hardState, base, lastIndex, termStarts, configurations, stampMs } = restored;
    const promised = unlessRepaired(restored.promised, disk.entries.at(-1) ?? base);
    const entries = disk.entries;
    return { hardState, base, lastIndex, termStarts, configurations, stampMs, promised, entries };
  }
}

export class SqliteSubject implements Subject {
  readonly #folder: string;
  #log: LogStore;
  #votes: VoteFile;

  /** In a folder of its own. */
  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder);
    this.#log = this.#openLog();
    this.#votes = this.#openVotes();
  }

  #openLog(): LogStore {
    const log = new LogStore(join(this.#folder, "log.db"));
    log.open();
    return log;
  }

  #openVotes(): VoteFile {
    return new VoteFile(join(this.#folder, "vote"));
  }

  write({ hardState, entries = [], ...change }: Change): void {
    if (hardState !== undefined) this.#votes.save(hardState);
    this.#log.write([{ ...change, entries }]);
  }

  compact(through: LogPosition): void {
    this.#log.compact(through);
    // Interrupted as often as not.
    if (through.index % 2 === 0) { while (this.#log.trimSlice()) { /* in slices */ } }
  }

  reopen(damagedIndex?: number): Opened {
    this.#log.close();
    this.#votes.close();
    if (damagedIndex !== undefined) {
      const db = new Database(join(this.#folder, "log.db"));
      db.run("UPDATE entries SET record = x'00' || substr(record, 2) WHERE idx = ?", [
        damagedIndex,
      ]);
      db.close();
    }
    this.#log = new LogStore(join(this.#folder, "log.db"));
    this.#votes = this.#openVotes();
    const { base, lastIndex, termStarts, configurations, stampMs, promised } = this.#log.open();
    const entries = this.#log.read(base.index + 1, lastIndex - base.index, Infinity);
    return {
      hardState: this.#votes.vote,
      base,
      lastIndex,
      termStarts,
      configurations,
      stampMs,
      promised: unlessRepaired(promised, entries.at(-1) ?? base),
      entries,
    };
  }
}

function unlessRepaired(promised: LogPosition | undefined, last: LogPosition) {
  const isRepaired = promised && (last.term > promised.term ||
    (last.term === promised.term && last.index >= promised.index));
  return isRepaired ? undefined : promised;
}
