// Deadlines of many calls with one timer: it fires when the earliest may have passed, and the owner
// then looks through its calls. Calls that end in time, nearly all, never touch a timer.

export class Deadlines {
  /** Ends what is due and returns the earliest deadline that is left, or Infinity. */
  readonly #expire: (nowMs: number) => number;
  #earliestMs = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(expire: (nowMs: number) => number) {
    this.#expire = expire;
  }

  watch(deadlineMs: number, nowMs: number): void {
    if (deadlineMs >= this.#earliestMs) return;
    this.#earliestMs = deadlineMs;
    clearTimeout(this.#timer);
    // A timer above 2^31 ms would fire at once.
    this.#timer = setTimeout(this.#fire, Math.min(deadlineMs - nowMs + 1, 0x7fff_ffff));
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#earliestMs = Infinity;
  }

  readonly #fire = () => {
    this.#earliestMs = Infinity;
    const nowMs = performance.now();
    const nextMs = this.#expire(nowMs);
    if (nextMs !== Infinity) this.watch(nextMs, nowMs);
  };
}
