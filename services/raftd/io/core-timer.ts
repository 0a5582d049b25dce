// The one timer of the Raft core: fires at the earliest time that the core asked for.

import { bootTimeMs } from "./clock.ts";

/** Firing this late tells that the thread stood still, near to what costs leadership. */
const LATE_MS = 50;

export class CoreTimer {
  readonly #fire: () => void;
  readonly #late: (lateMs: number) => void;
  #timer: Timer | undefined;
  #atMs = 0;

  constructor(fire: () => void, late: (lateMs: number) => void) {
    this.#fire = fire;
    this.#late = late;
  }

  /** A timer that fires early is harmless, so it is set anew only when it would be late. */
  set(deadlineMs: number): void {
    if (this.#timer !== undefined && this.#atMs <= deadlineMs) return;
    this.clear();
    if (deadlineMs === Infinity) return;
    this.#atMs = deadlineMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const lateMs = bootTimeMs() - this.#atMs;
      if (lateMs >= LATE_MS) this.#late(lateMs);
      this.#fire();
    }, Math.max(0, Math.ceil(deadlineMs - bootTimeMs())));
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
