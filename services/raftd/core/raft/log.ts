// The log as the core sees it: where each term begins (for the whole log) and the newest entries
// (a bounded cache). Older entries are on disk, and fetched only for a follower that lacks them.

import { invariant } from "./invariant.ts";
import { type LogStep, LogWeight } from "./log-weight.ts";
import type { TermStart } from "./machine.ts";
import type { Entry, LogPosition } from "./messages.ts";

/** What an entry costs beside its bytes. */
const ENTRY_OVERHEAD_BYTES = 64;

export function entryBytes(entry: Entry): number {
  return entry.bytes.length + ENTRY_OVERHEAD_BYTES;
}

export class Log {
  #base: LogPosition;
  #lastIndex: number;
  /** Ascending, none at or before the base. */
  #starts: TermStart[];
  /** Contiguous, ending at lastIndex. */
  #cache: Entry[] = [];
  #cacheBytes = 0;
  readonly #weight: LogWeight;

  constructor(
    base: LogPosition,
    lastIndex: number,
    starts: readonly TermStart[],
    tail: readonly Entry[],
    steps: readonly LogStep[] = [],
  ) {
    this.#weight = new LogWeight(steps);
    this.#base = base;
    this.#lastIndex = lastIndex;
    this.#starts = [...starts];
    invariant(lastIndex >= base.index, "a log that ends after its base", base.index, lastIndex);
    invariant(
      lastIndex === base.index || starts[0]?.firstIndex === base.index + 1,
      "the first term to begin after the base",
      base.index,
      starts[0]?.firstIndex,
    );
    if (tail.length > 0) {
      invariant(tail.at(-1)!.index === lastIndex, "a tail that ends with the log", lastIndex);
      this.#cache = [...tail];
      for (const entry of tail) this.#cacheBytes += entryBytes(entry);
    }
  }

  get base(): LogPosition {
    return this.#base;
  }

  get lastIndex(): number {
    return this.#lastIndex;
  }

  get lastTerm(): number {
    return this.#starts.length > 0 ? this.#starts[this.#starts.length - 1]!.term : this.#base.term;
  }

  /** The first index that is still in memory; lastIndex + 1 if none. */
  get cacheFirst(): number {
    return this.#lastIndex - this.#cache.length + 1;
  }

  /** Undefined where the log does not reach, or no longer. */
  termAt(index: number): number | undefined {
    if (index > this.#lastIndex || index < this.#base.index) return undefined;
    if (index === this.#base.index) return this.#base.term;
    return this.#starts[this.#startAt(index)]!.term;
  }

  /** Where the term of the entry at `index` begins, as far as this log knows. */
  termFirstIndex(index: number): number {
    if (index <= this.#base.index) return index;
    return this.#starts[this.#startAt(index)]!.firstIndex;
  }

  /** The last index up to `index` whose term is not above `term`; the base if there is none. */
  lastIndexOfTermUpTo(term: number, index: number): number {
    let end = Math.min(index, this.#lastIndex);
    for (let i = this.#starts.length - 1; i >= 0; i--) {
      const start = this.#starts[i]!;
      if (start.firstIndex > end) continue;
      if (start.term <= term) return end;
      end = start.firstIndex - 1;
    }
    return Math.min(end, this.#base.index);
  }

  isUpToDate(lastTerm: number, lastIndex: number): boolean {
    const mine = this.lastTerm;
    return lastTerm > mine || (lastTerm === mine && lastIndex >= this.#lastIndex);
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      invariant(
        entry.index === this.#lastIndex + 1,
        "entries without a gap",
        this.#lastIndex,
        entry.index,
      );
      const lastTerm = this.lastTerm;
      invariant(entry.term >= lastTerm, "terms that never fall", lastTerm, entry.term);
      if (this.#starts.length === 0 || entry.term > lastTerm) {
        this.#starts.push({ term: entry.term, firstIndex: entry.index });
      }
      this.#cache.push(entry);
      this.#cacheBytes += entryBytes(entry);
      this.#weight.add(entry.index, entryBytes(entry));
      this.#lastIndex = entry.index;
    }
  }

  truncateFrom(index: number): void {
    invariant(index > this.#base.index, "to keep the base", this.#base.index, index);
    while (this.#lastIndex >= index) {
      const dropped = this.#cache.pop();
      if (dropped) this.#cacheBytes -= entryBytes(dropped);
      else {
        this.#lastIndex = index - 1;
        break;
      }
      this.#lastIndex--;
    }
    while (this.#starts.length > 0 && this.#starts.at(-1)!.firstIndex >= index) this.#starts.pop();
    this.#weight.truncateFrom(index);
  }

  /** Begins again, empty, after this position. */
  reset(base: LogPosition): void {
    this.#base = base;
    this.#lastIndex = base.index;
    this.#starts = [];
    this.#cache = [];
    this.#cacheBytes = 0;
    this.#weight.clear();
  }

  /** The last index with at least so many bytes of entries behind it; 0 if the log has fewer. */
  lastIndexBefore(bytes: number): number {
    return this.#weight.lastIndexBefore(bytes);
  }

  /** Forgets what lies at or before `index`, except its term. */
  compactThrough(index: number): void {
    const term = this.termAt(index);
    invariant(term !== undefined, "to compact within the log", index, this.#lastIndex);
    const kept = this.#starts.filter((start) => start.firstIndex > index);
    if (index < this.#lastIndex && kept[0]?.firstIndex !== index + 1) {
      kept.unshift({ term: this.termAt(index + 1)!, firstIndex: index + 1 });
    }
    const dropCount = Math.min(this.#cache.length, Math.max(0, index - this.cacheFirst + 1));
    this.#drop(dropCount);
    this.#weight.dropThrough(index);
    this.#starts = kept;
    this.#base = { index, term };
  }

  /** Entries from `from` on within the bounds, at least one; undefined if they left the cache. */
  slice(from: number, countMax: number, bytesMax: number): Entry[] | undefined {
    const first = this.cacheFirst;
    if (from < first) return undefined;
    const begin = from - first;
    let bytes = 0, end = begin;
    while (end < this.#cache.length && end - begin < countMax) {
      bytes += entryBytes(this.#cache[end]!);
      if (bytes > bytesMax && end > begin) break;
      end++;
    }
    return this.#cache.slice(begin, end);
  }

  /** Lets go of the oldest entries that are on disk once the cache is over its bounds; a quarter
   *  at a time, so that the cost is spread. */
  evict(persistedIndex: number, countMax: number, bytesMax: number): void {
    if (this.#cache.length <= countMax && this.#cacheBytes <= bytesMax) return;
    const dropMax = Math.max(0, persistedIndex - this.cacheFirst + 1);
    const over = Math.max(this.#cache.length - countMax, 0) + (this.#cache.length >> 2) + 1;
    this.#drop(Math.min(dropMax, over));
  }

  #drop(count: number): void {
    if (count <= 0) return;
    for (const entry of this.#cache.splice(0, count)) this.#cacheBytes -= entryBytes(entry);
  }

  #startAt(index: number): number {
    let i = this.#starts.length - 1;
    while (i > 0 && this.#starts[i]!.firstIndex > index) i--;
    return i;
  }
}
