// Callers that wait for consensus: asked for again while there is no leader to answer, given up on
// when their time is over.

import type { CuriaError } from "#shared/errors.ts";

export interface Caller {
  reject(error: CuriaError): void;
  /** On performance.now's clock. */
  deadlineMs: number;
}

export interface CallersOptions<Each extends Caller> {
  /** Asks consensus, for the first time or again. */
  ask(id: number, caller: Each): void;
  /** What a caller hears whose time is over. */
  tooLate(caller: Each): CuriaError;
}

const SWEEP_MS = 100;
const RETRY_MS = 25;

export class Callers<Each extends Caller> {
  readonly #options: CallersOptions<Each>;
  readonly #waiting = new Map<number, Each>();
  /** Refused, to be asked for again. */
  readonly #parked = new Set<number>();
  readonly #sweeper: Timer;
  #retryTimer: Timer | undefined;
  #nextId = 1;
  /** While the state is being replaced nobody is given up on: all go on as soon as that is done. */
  isHeld = false;

  constructor(options: CallersOptions<Each>) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
  }

  get count(): number {
    return this.#waiting.size;
  }

  /** Enters the caller and asks for it. */
  add(caller: Each): void {
    const id = this.#nextId++;
    this.#waiting.set(id, caller);
    this.#options.ask(id, caller);
  }

  get(id: number): Each | undefined {
    return this.#waiting.get(id);
  }

  /** All that wait, the oldest first. */
  entries(): Iterable<[number, Each]> {
    return this.#waiting;
  }

  /** The caller has its answer. */
  remove(id: number): void {
    this.#waiting.delete(id);
  }

  /** Nobody could answer now: asked for again soon, or as soon as a leader is known. */
  park(id: number): void {
    if (!this.#waiting.has(id)) return;
    this.#parked.add(id);
    this.#retryTimer ??= setTimeout(() => this.retry(), RETRY_MS);
  }

  retry(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    for (const id of this.#parked) {
      const caller = this.#waiting.get(id);
      if (caller !== undefined) this.#options.ask(id, caller);
    }
    this.#parked.clear();
  }

  rejectAll(error: CuriaError): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#parked.clear();
  }

  close(error: CuriaError): void {
    clearInterval(this.#sweeper);
    clearTimeout(this.#retryTimer);
    this.rejectAll(error);
  }

  #sweep(): void {
    if (this.isHeld) return;
    const nowMs = performance.now();
    for (const [id, caller] of this.#waiting) {
      if (caller.deadlineMs > nowMs) continue;
      this.#waiting.delete(id);
      this.#parked.delete(id);
      caller.reject(this.#options.tooLate(caller));
    }
  }
}
