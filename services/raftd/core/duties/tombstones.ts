// When tombstones of deleted keys are forgotten, decided on the leader: a while after they were laid,
// so that blocking reads of a prefix do not see its index slide back (Consul: tombstone_gc).

import type { Machine } from "#shared/machine.ts";

export type TombstonesInput =
  /** This server leads; the youngest tombstone has this index, 0: there is none. */
  | { readonly kind: "led"; readonly highestIndex: number }
  | { readonly kind: "deposed" }
  | { readonly kind: "timer-fired"; readonly token: number; readonly highestIndex: number };

export type TombstonesEffect =
  /** Propose to forget all tombstones up to this index. */
  | { readonly kind: "reap"; readonly throughIndex: number }
  | { readonly kind: "set-timer"; readonly token: number; readonly afterMs: number };

const ttlMs = 15 * 60_000;
const granularityMs = 30_000;

interface Seen {
  readonly index: number;
  readonly atMs: number;
}

export class Tombstones implements Machine<TombstonesInput, TombstonesEffect> {
  /** Oldest first; at most one per tick within the TTL. */
  #seen: Seen[] = [];
  #notedIndex = 0;
  #token = 0;
  #isLeader = false;

  step(input: TombstonesInput, nowMs: number): TombstonesEffect[] {
    switch (input.kind) {
      case "led":
        this.#isLeader = true;
        // Their age is not known, so it begins now.
        this.#seen = [];
        this.#notedIndex = 0;
        this.#note(input.highestIndex, nowMs);
        return [this.#nextTick()];
      case "deposed":
        this.#isLeader = false;
        this.#seen = [];
        return [];
      case "timer-fired":
        if (input.token !== this.#token || !this.#isLeader) return [];
        this.#note(input.highestIndex, nowMs);
        return [...this.#reap(nowMs), this.#nextTick()];
      default:
        return input satisfies never;
    }
  }

  #note(index: number, atMs: number): void {
    if (index <= this.#notedIndex) return;
    this.#notedIndex = index;
    this.#seen.push({ index, atMs });
  }

  #reap(nowMs: number): TombstonesEffect[] {
    let throughIndex = 0;
    while (this.#seen.length > 0 && nowMs - this.#seen[0]!.atMs >= ttlMs) {
      throughIndex = this.#seen.shift()!.index;
    }
    return throughIndex === 0 ? [] : [{ kind: "reap", throughIndex }];
  }

  #nextTick(): TombstonesEffect {
    return { kind: "set-timer", token: ++this.#token, afterMs: granularityMs };
  }
}
