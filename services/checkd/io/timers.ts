// Named timers: setting one again replaces it, so a late one of the same name never fires.

/** setTimeout takes no more than 2^31-1 ms; a TTL may be longer. */
const stepMaxMs = 2 ** 31 - 1;

export class Timers {
  readonly #fired: (name: string) => void;
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();

  constructor(fired: (name: string) => void) {
    this.#fired = fired;
  }

  set(name: string, afterMs: number): void {
    clearTimeout(this.#timers.get(name));
    const stepMs = Math.min(Math.max(0, afterMs), stepMaxMs);
    const timer = setTimeout(() => {
      if (afterMs > stepMs) return this.set(name, afterMs - stepMs);
      this.#timers.delete(name);
      this.#fired(name);
    }, stepMs);
    this.#timers.set(name, timer);
  }

  clear(name: string): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
