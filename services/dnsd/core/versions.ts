// Which rows an answer was made of, and whether any of them changed since. Keys share a fixed
// number of counters, so names that do not exist cost no memory; two keys that meet in one counter
// only cause an answer to be made anew.

const counterCount = 1 << 14;

/** What an answer depends on: counter, value, counter, value, … */
export type ReadSet = Uint32Array;

export class Versions {
  readonly #counters = new Uint32Array(counterCount);
  #reads: number[] | undefined;

  /** A row of this key changed. */
  touch(key: string): void {
    this.#counters[counterOf(key)]!++;
  }

  /** A row of this key is looked at. */
  read(key: string): void {
    this.#reads?.push(counterOf(key));
  }

  /** Runs the work and notes all that it reads. */
  track<T>(work: () => T): { result: T; reads: ReadSet } {
    const outer = this.#reads;
    const reads: number[] = [];
    this.#reads = reads;
    try {
      const result = work();
      const set = new Uint32Array(reads.length * 2);
      for (const [i, counter] of reads.entries()) {
        set[2 * i] = counter;
        set[2 * i + 1] = this.#counters[counter]!;
      }
      return { result, reads: set };
    } finally {
      this.#reads = outer;
    }
  }

  isCurrent(reads: ReadSet): boolean {
    for (let i = 0; i < reads.length; i += 2) {
      if (this.#counters[reads[i]!] !== reads[i + 1]) return false;
    }
    return true;
  }
}

/** FNV-1a. */
function counterOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 15)) & (counterCount - 1);
}
