// When a daemon that ended is started again: at once after a good run, later and later when it
// keeps failing.

const firstDelayMs = 100;
const delayMaxMs = 5_000;
/** A run this long counts as good. */
const goodRunMs = 10_000;
/** Failures in a row, before any good run, after which the cause is taken to stay (a port that
 *  another program has, say): about 16 s. */
const firstFailuresMax = 10;

export class Restarts {
  #failures = 0;
  #hasRunWell = false;

  /** Milliseconds to wait after a run of the given length; undefined: it is of no use. */
  delayAfter(ranMs: number): number | undefined {
    if (ranMs >= goodRunMs) {
      this.#failures = 0;
      this.#hasRunWell = true;
    }
    if (!this.#hasRunWell && this.#failures >= firstFailuresMax) return undefined;
    const delayMs = this.#failures === 0 ? 0 : firstDelayMs * 2 ** (this.#failures - 1);
    this.#failures++;
    return Math.min(delayMs, delayMaxMs);
  }
}
