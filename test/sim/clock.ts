// A server's clocks: the monotonic one runs a little fast or slow for ever, the calendar also jumps.

import type { Clock } from "#shared/machine.ts";
import type { Random } from "#shared/random.ts";
import type { EventQueue } from "./queue.ts";

const EPOCH_MS = 1_800_000_000_000;

export class SimClock implements Clock {
  readonly #queue: EventQueue;
  readonly #rate: number;
  readonly #offsetMs: number;
  #wallOffsetMs: number;

  /** `driftMax`: how much faster one server's clock may run than another's. */
  constructor(queue: EventQueue, random: Random, driftMax: number) {
    this.#queue = queue;
    this.#rate = 1 + random.between(-driftMax / 2, driftMax / 2.1);
    this.#offsetMs = random.below(1_000_000);
    this.#wallOffsetMs = random.between(-2_000, 2_000);
  }

  nowMs(): number {
    return this.#queue.nowMs * this.#rate + this.#offsetMs;
  }

  wallMs(): number {
    return Math.floor(EPOCH_MS + this.#queue.nowMs + this.#wallOffsetMs);
  }

  /** When this clock shows `nowMs`. */
  queueTime(nowMs: number): number {
    return (nowMs - this.#offsetMs) / this.#rate;
  }

  jump(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }
}
