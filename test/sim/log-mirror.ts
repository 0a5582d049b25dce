// What a server's log must look like by the writes it ordered; only indexes and terms.

import type { Entry, LogPosition } from "../../services/raftd/core/raft/messages.ts";

export class LogMirror {
  #base: LogPosition;
  #terms: number[];
  committedIndex = 0;
  /** The server's own term. */
  term = 0;

  constructor(base: LogPosition, entries: readonly Entry[]) {
    this.#base = base;
    this.#terms = entries.map((entry) => entry.term);
  }

  get baseIndex(): number {
    return this.#base.index;
  }

  get lastIndex(): number {
    return this.#base.index + this.#terms.length;
  }

  termAt(index: number): number | undefined {
    return index === this.#base.index ? this.#base.term : this.#terms[index - this.#base.index - 1];
  }

  reset(base: LogPosition): void {
    this.#base = base;
    this.#terms = [];
  }

  truncateFrom(index: number): void {
    this.#terms.length = Math.max(0, index - this.#base.index - 1);
  }

  append(entry: Entry): void {
    this.#terms[entry.index - this.#base.index - 1] = entry.term;
  }
}
