// Which reads are kept as bytes: from the second time that they are asked for within a while, up
// to a number of bytes in all, those unused for longest going first.

import type { ReadPlan } from "./plan.ts";
import { ReadEntry } from "./entry.ts";

export interface ReadCacheOptions {
  bytesMax: number;
  /** A read asked for again within this time is worth keeping. */
  againWithinMs: number;
  evicted(entry: ReadEntry): void;
}

/** How many keys are remembered that were asked for once. */
const seenMax = 20_000;

export class ReadCache {
  readonly #options: ReadCacheOptions;
  /** In order of use, oldest first. */
  readonly #entries = new Map<string, ReadEntry>();
  readonly #seen = new Map<string, number>();
  /** What each entry was counted for when it was last weighed. */
  readonly #weights = new Map<ReadEntry, number>();
  #bytes = 0;

  constructor(options: ReadCacheOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The entry of a read, when it has one. */
  find(key: string, nowMs: number): ReadEntry | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.use(entry, nowMs);
    return entry;
  }

  /** Moves it to the young end; cheap enough for every hit, as it is done once a second at most. */
  use(entry: ReadEntry, nowMs: number): void {
    if (nowMs - entry.lastUsedMs < 1_000) return;
    entry.lastUsedMs = nowMs;
    this.#entries.delete(entry.plan.key);
    this.#entries.set(entry.plan.key, entry);
  }

  /** True when the read was asked for a short while ago, too. */
  isWorthKeeping(key: string, nowMs: number): boolean {
    const before = this.#seen.get(key);
    this.#seen.delete(key);
    if (before !== undefined && nowMs - before <= this.#options.againWithinMs) return true;
    this.#seen.set(key, nowMs);
    if (this.#seen.size > seenMax) this.#seen.delete(this.#seen.keys().next().value!);
    return false;
  }

  add(plan: ReadPlan, nowMs: number): ReadEntry {
    const entry = new ReadEntry(plan);
    entry.lastUsedMs = nowMs;
    this.#entries.set(plan.key, entry);
    this.weigh(entry);
    return entry;
  }

  /** Counts an entry's bytes anew and makes room. */
  weigh(entry: ReadEntry): void {
    if (entry.isEvicted) return;
    const before = this.#weights.get(entry) ?? 0;
    const after = entry.bytes;
    this.#weights.set(entry, after);
    this.#bytes += after - before;
    if (this.#bytes > this.#options.bytesMax) this.#makeRoom();
  }

  #makeRoom(): void {
    for (const entry of this.#entries.values()) {
      if (this.#bytes <= this.#options.bytesMax) return;
      if (entry.waiters.size === 0) this.drop(entry);
    }
  }

  drop(entry: ReadEntry): void {
    if (entry.isEvicted) return;
    entry.isEvicted = true;
    this.#entries.delete(entry.plan.key);
    this.#bytes -= this.#weights.get(entry) ?? 0;
    this.#weights.delete(entry);
    this.#options.evicted(entry);
  }
}
