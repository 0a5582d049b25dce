// How many bytes lie behind an index of the log, counted in steps: what compaction asks for when
// entries are large and few.

/** Entries up to `lastIndex`, from where the step before it ends. */
export interface LogStep {
  lastIndex: number;
  bytes: number;
}

/** A step this heavy is followed by a new one. */
const STEP_BYTES = 256 * 1024;

export class LogWeight {
  /** Ascending, without a gap. */
  #steps: LogStep[];

  constructor(steps: readonly LogStep[] = []) {
    this.#steps = steps.map((step) => ({ ...step }));
  }

  get steps(): readonly LogStep[] {
    return this.#steps;
  }

  /** The next entry. */
  add(index: number, bytes: number): void {
    const last = this.#steps[this.#steps.length - 1];
    if (last === undefined || last.bytes >= STEP_BYTES) {
      this.#steps.push({ lastIndex: index, bytes });
    } else {
      last.lastIndex = index;
      last.bytes += bytes;
    }
  }

  /** The step that is cut keeps all of its weight: too much is assumed rather than too little. */
  truncateFrom(index: number): void {
    while (this.#steps.length > 0) {
      const last = this.#steps[this.#steps.length - 1]!;
      if (last.lastIndex < index) return;
      const before = this.#steps[this.#steps.length - 2];
      if (before === undefined || before.lastIndex < index - 1) {
        last.lastIndex = index - 1;
        return;
      }
      this.#steps.pop();
    }
  }

  dropThrough(index: number): void {
    const kept = this.#steps.findIndex((step) => step.lastIndex > index);
    if (kept < 0) this.#steps = [];
    else if (kept > 0) this.#steps.splice(0, kept);
  }

  clear(): void {
    this.#steps = [];
  }

  /** The last index that has at least `bytes` behind it; 0 when the log is lighter. */
  lastIndexBefore(bytes: number): number {
    let behind = 0;
    for (let i = this.#steps.length - 1; i >= 0; i--) {
      if (behind + this.#steps[i]!.bytes > bytes) return this.#steps[i]!.lastIndex;
      behind += this.#steps[i]!.bytes;
    }
    return 0;
  }
}
