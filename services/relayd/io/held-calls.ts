// Calls that no way leads anywhere yet: each waits until something changed, or its time is over.

import { CuriaError } from "#shared/errors.ts";

/** Calls that wait at once; each is small, but its caller may be many. */
const heldMax = 20_000;

export class HeldCalls {
  readonly #waiting = new Set<() => void>();
  #isClosed = false;

  get count(): number {
    return this.#waiting.size;
  }

  /** Resolves at the next change, or after so long. Throws when too many wait. */
  async wait(limitMs: number): Promise<void> {
    if (this.#isClosed || limitMs <= 0) return;
    if (this.#waiting.size >= heldMax) {
      throw new CuriaError("overloaded", "Too many calls wait for a server");
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, limitMs);
    this.#waiting.add(resolve);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
  }

  changed(): void {
    for (const resolve of this.#waiting) resolve();
  }

  close(): void {
    this.#isClosed = true;
    this.changed();
  }
}
