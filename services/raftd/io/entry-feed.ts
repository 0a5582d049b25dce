// What has been appended and not yet been handed to the state: in order, once, and only what is both
// committed and durable here.

import type { Persist } from "../core/raft/machine.ts";
import type { Entry } from "../core/raft/messages.ts";

/** What to do next: entries to hand over, or the index from which log.db must be read first. */
export type FeedStep =
  | { kind: "entries"; entries: Entry[] }
  | { kind: "read"; fromIndex: number; countMax: number }
  | { kind: "wait" };

/** Entries handed over at once. */
const BATCH_MAX = 2_048;

export class EntryFeed {
  /** Next index to hand over. */
  #next: number;
  // Contiguous; the first is #start.
  #entries: Entry[] = [];
  #start = 0;
  #durableIndex: number;
  #commitIndex = 0;
  /** Last index of each persist that is under way, oldest first. */
  #underWay: { seq: number; lastIndex: number }[] = [];

  constructor(appliedIndex: number, lastIndex: number) {
    this.#next = appliedIndex + 1;
    this.#durableIndex = lastIndex;
  }

  get handedOver(): number {
    return this.#next - 1;
  }

  persisting(persist: Persist): void {
    const { reset, truncateFrom, entries, seq } = persist;
    if (reset !== undefined) {
      this.#entries = [];
      this.#next = Math.max(this.#next, reset.index + 1);
      this.#durableIndex = reset.index;
      this.#underWay = [];
    }
    if (truncateFrom !== undefined) this.#truncate(truncateFrom);
    for (const entry of entries) {
      if (this.#entries.length === 0) this.#start = entry.index;
      this.#entries.push(entry);
    }
    const last = entries[entries.length - 1];
    if (last !== undefined) this.#underWay.push({ seq, lastIndex: last.index });
  }

  #truncate(from: number): void {
    if (this.#entries.length > 0 && from < this.#start + this.#entries.length) {
      this.#entries.length = Math.max(0, from - this.#start);
    }
    this.#durableIndex = Math.min(this.#durableIndex, from - 1);
    for (const write of this.#underWay) write.lastIndex = Math.min(write.lastIndex, from - 1);
  }

  persisted(seq: number): void {
    while (this.#underWay.length > 0 && this.#underWay[0]!.seq <= seq) {
      this.#durableIndex = Math.max(this.#durableIndex, this.#underWay.shift()!.lastIndex);
    }
  }

  committed(index: number): void {
    this.#commitIndex = Math.max(this.#commitIndex, index);
  }

  step(): FeedStep {
    const until = Math.min(this.#commitIndex, this.#durableIndex);
    const count = Math.min(until - this.#next + 1, BATCH_MAX);
    if (count <= 0) return { kind: "wait" };
    if (this.#entries.length === 0 || this.#next < this.#start) {
      const known = this.#entries.length === 0 ? until + 1 : this.#start;
      return {
        kind: "read",
        fromIndex: this.#next,
        countMax: Math.min(count, known - this.#next),
      };
    }
    const skipped = this.#next - this.#start;
    const entries = this.#entries.slice(skipped, skipped + count);
    this.#entries = this.#entries.slice(skipped + count);
    this.#start = this.#next + count;
    this.#next += count;
    return { kind: "entries", entries };
  }

  /** Entries that came from log.db were handed over. A snapshot may have gone past them meanwhile. */
  handed(fromIndex: number, count: number): void {
    this.#next = Math.max(this.#next, fromIndex + count);
  }

  /** A snapshot replaced the state: what it holds must not be applied again. */
  skipTo(index: number): void {
    this.#next = Math.max(this.#next, index + 1);
  }
}
