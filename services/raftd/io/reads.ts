// Which moment of the state a read may be served from. With a lease the leader answers at once; else
// the consensus thread is asked for an index and the read waits until the state has applied it.

import { CuriaError } from "#shared/errors.ts";
import type { ReadMode, Refusal } from "../core/raft/messages.ts";
import { type Caller, Callers } from "./callers.ts";
import { bootTimeMs } from "./clock.ts";
import type { SharedWords } from "./thread-messages.ts";

export interface ReadGateOptions {
  words: SharedWords;
  holdMs: number;
  request(id: number, mode: ReadMode): void;
}

interface Waiting extends Caller {
  mode: ReadMode;
  resolve(): void;
  /** The index to wait for, once told. */
  index: number | undefined;
}

export class ReadGate {
  readonly #options: ReadGateOptions;
  readonly #callers: Callers<Waiting>;
  #appliedIndex: number;
  /** The server is no member any more: no leader will answer it. */
  hasLeft = false;

  constructor(options: ReadGateOptions, appliedIndex: number) {
    this.#options = options;
    this.#appliedIndex = appliedIndex;
    this.#callers = new Callers({ ask: (id, { mode }) => options.request(id, mode), tooLate });
  }

  /** Nobody is given up on for now. */
  set isHeld(isHeld: boolean) {
    this.#callers.isHeld = isHeld;
  }

  /** Whether a default read may be served from the state as it is: to be asked before the rows are
   *  read and again after, since a pause may lie between. */
  hasLease(): boolean {
    const { words } = this.#options;
    return words.commitIndex <= this.#appliedIndex && words.leaseUntilMs > bootTimeMs();
  }

  /** Settles when the state is fresh enough for a read that begins now. */
  wait(mode: ReadMode, timeoutMs: number): Promise<void> {
    if (this.hasLeft) return Promise.reject(noLeader());
    return new Promise((resolve, reject) => {
      const deadlineMs = performance.now() + Math.min(timeoutMs, this.#options.holdMs);
      this.#callers.add({ mode, resolve, reject, deadlineMs, index: undefined });
    });
  }

  answered(ids: readonly number[], index: number): void {
    for (const id of ids) {
      const waiting = this.#callers.get(id);
      if (waiting === undefined) continue;
      if (index <= this.#appliedIndex) this.#settle(id, waiting);
      else waiting.index = index;
    }
  }

  refused(ids: readonly number[], _refusal: Refusal): void {
    for (const id of ids) this.#callers.park(id);
  }

  retry(): void {
    this.#callers.retry();
  }

  applied(index: number): void {
    this.#appliedIndex = index;
    for (const [id, waiting] of this.#callers.entries()) {
      if (waiting.index !== undefined && waiting.index <= index) this.#settle(id, waiting);
    }
  }

  close(): void {
    this.#callers.close(new CuriaError("unavailable", "raftd is stopping"));
  }

  giveUp(): void {
    this.#callers.rejectAll(noLeader());
  }

  #settle(id: number, waiting: Waiting): void {
    this.#callers.remove(id);
    waiting.resolve();
  }
}

function noLeader(): CuriaError {
  return new CuriaError("no-leader", "No cluster leader");
}

function tooLate({ mode, index }: Waiting): CuriaError {
  if (mode !== "consistent" || index === undefined) return noLeader();
  return new CuriaError("not-ready", "Not ready to serve consistent reads");
}
