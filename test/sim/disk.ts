// One server's disk: what was synced survives, what was not may be lost; it stalls, fails, fills up
// and flips bits. It keeps log.db (log, term, vote) and the state file with its last checkpoint.

import type { Random } from "#shared/random.ts";
import type { HardState, Persist, Restored } from "../../services/raftd/core/raft/machine.ts";
import { decodeConfiguration } from "../../services/raftd/core/raft/membership.ts";
import type { Configuration, Entry, LogPosition } from "../../services/raftd/core/raft/messages.ts";
import type { SimState, StateKind } from "./kv.ts";

/** The state machine together with what the state file keeps beside it. */
export interface StateFile {
  readonly kv: SimState;
  readonly configuration: Configuration;
}

export function emptyStateFile(states: StateKind): StateFile {
  return { kv: states.empty(), configuration: { index: 0, servers: [] } };
}

export class SimDisk {
  hardState: HardState = { term: 0, votedFor: "" };
  base: LogPosition = { index: 0, term: 0 };
  entries: Entry[] = [];
  promised: LogPosition | undefined;
  /** What a power loss leaves of the state file. */
  checkpoint: StateFile;
  #unsynced: Persist[] = [];

  constructor(states: StateKind) {
    this.checkpoint = emptyStateFile(states);
  }

  get lastIndex(): number {
    return this.base.index + this.entries.length;
  }

  entryAt(index: number): Entry | undefined {
    return this.entries[index - this.base.index - 1];
  }

  termAt(index: number): number | undefined {
    return index === this.base.index ? this.base.term : this.entryAt(index)?.term;
  }

  write(persist: Persist): void {
    this.#unsynced.push(persist);
  }

  /** Everything up to this write is durable. */
  sync(seq: number): void {
    while (this.#unsynced.length > 0 && this.#unsynced[0]!.seq <= seq) {
      this.#commit(this.#unsynced.shift()!);
    }
  }

  /** The process or the power went away. Of the writes under way the first few may be there, whole,
   *  for each is one transaction; and after them a vote, which is saved before its batch. */
  crash(random: Random): number {
    const kept = random.chance(0.5) ? 0 : random.below(this.#unsynced.length + 1);
    for (const persist of this.#unsynced.slice(0, kept)) this.#commit(persist);
    const batch = this.#unsynced.slice(kept, kept + random.below(4));
    this.hardState = batch.findLast((persist) => persist.hardState)?.hardState ?? this.hardState;
    const lost = this.#unsynced.length - kept;
    this.#unsynced = [];
    return lost;
  }

  #commit(persist: Persist): void {
    if (persist.reset) {
      this.base = persist.reset;
      this.entries = [];
    }
    if (persist.truncateFrom !== undefined) {
      this.entries.length = Math.max(0, persist.truncateFrom - this.base.index - 1);
    }
    for (const entry of persist.entries) {
      if (entry.index !== this.lastIndex + 1) {
        throw new Error(`log.db has a gap: entry ${entry.index} after ${this.lastIndex}`);
      }
      this.entries.push(entry);
    }
    if (persist.hardState) this.hardState = persist.hardState;
    const { promised } = this;
    const last = this.entries.at(-1);
    const isRepaired = promised && last && (last.term > promised.term ||
      (last.term === promised.term && last.index >= promised.index));
    if (isRepaired) this.promised = undefined;
  }

  compact(throughIndex: number, throughTerm: number): void {
    if (throughIndex <= this.base.index || throughIndex > this.lastIndex) return;
    this.entries.splice(0, throughIndex - this.base.index);
    this.base = { index: throughIndex, term: throughTerm };
  }

  /** A flipped bit in an entry that the state has not taken up: found by its checksum at the next
   *  start, which cuts the log there but remembers how far it went. */
  damage(random: Random, appliedIndex: number): boolean {
    const first = Math.max(appliedIndex, this.base.index) + 1;
    if (first > this.lastIndex) return false;
    const at = first + random.below(this.lastIndex - first + 1);
    const { index, term } = this.entries.at(-1)!;
    this.promised ??= { index, term };
    this.entries.length = at - this.base.index - 1;
    return true;
  }

  /** What the shell hands to the core when it opens. */
  restored(state: StateFile, random: Random): Restored {
    const termStarts: { term: number; firstIndex: number }[] = [];
    const configurations: Configuration[] = [];
    if (state.configuration.index > 0) configurations.push(state.configuration);
    for (const entry of this.entries) {
      if (entry.term !== termStarts.at(-1)?.term) {
        termStarts.push({ term: entry.term, firstIndex: entry.index });
      }
      if (entry.kind === "configuration" && entry.index > state.kv.index) {
        configurations.push(decodeConfiguration(entry.index, entry.bytes));
      }
    }
    return {
      hardState: this.hardState,
      base: this.base,
      lastIndex: this.lastIndex,
      termStarts,
      tail: this.entries.slice(random.below(this.entries.length + 1)),
      stampMs: Math.max(this.entries.at(-1)?.stampMs ?? 0, state.kv.stampMs),
      applied: { index: state.kv.index, term: state.kv.term },
      configurations,
      promised: this.promised,
    };
  }
}
