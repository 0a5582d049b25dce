// Notices that checkd is away: it keeps a stream open to us and beats on it.

export class CheckerWatch {
  readonly #absenceMs: number;
  readonly #changed: (isAbsent: boolean) => void;
  #streams = 0;
  #timer: Timer | undefined;

  /** Starts as if checkd had just gone: it has the whole time to come. 0 never reports. */
  constructor(absenceMs: number, changed: (isAbsent: boolean) => void) {
    this.#absenceMs = absenceMs;
    this.#changed = changed;
    this.#await();
  }

  opened(): void {
    this.#streams++;
    this.beat();
  }

  /** A stream that stays open but silent is a checkd that hangs. */
  beat(): void {
    this.#changed(false);
    this.#await();
  }

  closed(): void {
    this.#streams--;
  }

  get isConnected(): boolean {
    return this.#streams > 0;
  }

  #await(): void {
    clearTimeout(this.#timer);
    if (this.#absenceMs <= 0) return;
    this.#timer = setTimeout(() => this.#changed(true), this.#absenceMs);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
