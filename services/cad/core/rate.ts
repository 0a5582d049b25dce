// How many certificates are signed a second (CSRMaxPerSecond): a token bucket of one.

export class SigningRate {
  #perSecond: number;
  /** When the bucket is full again. */
  #freeAtMs = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  set perSecond(value: number) {
    this.#perSecond = value;
  }

  /** How long to wait before signing; undefined: longer than `waitMaxMs`, and nothing was taken. */
  take(nowMs: number, waitMaxMs: number): number | undefined {
    if (this.#perSecond <= 0) return 0;
    const waitMs = Math.max(0, this.#freeAtMs - nowMs);
    if (waitMs > waitMaxMs) return undefined;
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + 1000 / this.#perSecond;
    return waitMs;
  }
}
