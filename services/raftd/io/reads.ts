// Which moment of the state a read may be served from. With a lease the leader answers at once; else
// the consensus thread is asked for an index and the read waits until the state has applied it.

import { CuriaError } from "#shared/errors.ts";
import type { ReadMode, Refusal } from "../core/raft/messages.ts";
import { bootTimeMs } from "./clock.ts";
import type { SharedWords } from "./thread-messages.ts";

export interface ReadGateOptions {
  words: SharedWords;
  holdMs: number;
  request(id: number, mode: ReadMode): void;
}

interface Waiting {
  mode: ReadMode;
  resolve(): void;
  reject(error: CuriaError): void;
  deadlineMs: number;
  /** The index to wait for, once told. */
  index: number | undefined;
}

const SWEEP_MS = 100;
const RETRY_MS = 25;

export class ReadGate {
  readonly #options: ReadGateOptions;
  readonly #waiting = new Map<number, Waiting>();
  readonly #parked = new Set<number>();
  readonly #sweeper: Timer;
  #retryTimer: Timer | undefined;
  #nextId = 1;
  #appliedIndex: number;
  /** While the state is being replaced nobody is given up on. */
  isHeld = false;
  /** The server is no member any more: no leader will answer it. */
  hasLeft = false;

  constructor(options: ReadGateOptions, appliedIndex: number) {
    this.#options = options;
    this.#appliedIndex = appliedIndex;
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
  }

  /** Whether a default read may be served from the state as it is: to be asked before the rows are
   *  read and again after, since a pause may lie between. */
  hasLease(): boolean {
    const { words } = this.#options;
    return words.commitIndex <= this.#appliedIndex && words.leaseUntilMs > bootTimeMs();
  }

  /** Settles when the state is fresh enough for a read that begins now. */
  wait(mode: ReadMode, timeoutMs: number): Promise<void> {
    if (this.hasLeft) return Promise.reject(new CuriaError("no-leader", "No cluster leader"));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const deadlineMs = performance.now() + Math.min(timeoutMs, this.#options.holdMs);
      this.#waiting.set(id, { mode, resolve, reject, deadlineMs, index: undefined });
      this.#options.request(id, mode);
    });
  }

  answered(ids: readonly number[], index: number): void {
    for (const id of ids) {
      const waiting = this.#waiting.get(id);
      if (waiting === undefined) continue;
      if (index <= this.#appliedIndex) this.#settle(id, waiting);
      else waiting.index = index;
    }
  }

  refused(ids: readonly number[], _refusal: Refusal): void {
    for (const id of ids) if (this.#waiting.has(id)) this.#parked.add(id);
    if (this.#parked.size > 0) this.#retryTimer ??= setTimeout(() => this.retry(), RETRY_MS);
  }

  retry(): void {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    for (const id of this.#parked) {
      const waiting = this.#waiting.get(id);
      if (waiting !== undefined) this.#options.request(id, waiting.mode);
    }
    this.#parked.clear();
  }

  applied(index: number): void {
    this.#appliedIndex = index;
    for (const [id, waiting] of this.#waiting) {
      if (waiting.index !== undefined && waiting.index <= index) this.#settle(id, waiting);
    }
  }

  close(): void {
    clearInterval(this.#sweeper);
    clearTimeout(this.#retryTimer);
    this.#rejectAll(new CuriaError("unavailable", "raftd is stopping"));
  }

  giveUp(): void {
    this.#rejectAll(new CuriaError("no-leader", "No cluster leader"));
  }

  #rejectAll(error: CuriaError): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#parked.clear();
  }

  #settle(id: number, waiting: Waiting): void {
    this.#waiting.delete(id);
    waiting.resolve();
  }

  #sweep(): void {
    if (this.isHeld) return;
    const nowMs = performance.now();
    for (const [id, waiting] of this.#waiting) {
      if (waiting.deadlineMs > nowMs) continue;
      this.#waiting.delete(id);
      this.#parked.delete(id);
      waiting.reject(
        waiting.mode === "consistent" && waiting.index !== undefined
          ? new CuriaError("not-ready", "Not ready to serve consistent reads")
          : new CuriaError("no-leader", "No cluster leader"),
      );
    }
  }
}
