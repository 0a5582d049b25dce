// From results of a probe to the status that is shown: Consul's thresholds.

export interface Thresholds {
  successBeforePassing: number;
  failuresBeforeWarning: number;
  failuresBeforeCritical: number;
}

/** Counts successes and failures in a row. Both counts start at their threshold, so that the first
 *  result always shows. */
export class StatusCounter {
  readonly #passingAt: number;
  readonly #warningAt: number;
  readonly #criticalAt: number;
  #successes: number;
  #failures: number;

  constructor(thresholds: Thresholds) {
    this.#passingAt = thresholds.successBeforePassing;
    this.#criticalAt = thresholds.failuresBeforeCritical;
    this.#warningAt = thresholds.failuresBeforeWarning || thresholds.failuresBeforeCritical;
    this.#successes = this.#passingAt;
    this.#failures = this.#criticalAt;
  }

  /** The status that a result leads to; undefined: the old one stays. */
  judge(result: string): string | undefined {
    if (result === "critical") {
      this.#failures++;
      this.#successes = 0;
      if (this.#failures >= this.#criticalAt) return "critical";
      return this.#failures >= this.#warningAt ? "warning" : undefined;
    }
    this.#successes++;
    this.#failures = 0;
    return this.#successes >= this.#passingAt ? result : undefined;
  }
}
