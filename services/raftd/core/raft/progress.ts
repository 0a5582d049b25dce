// What the leader knows of one peer: how far its log agrees, what is under way to it, when it was
// last heard and for how long it keeps the leader in office.

import type { ServerId, Snapshot } from "./messages.ts";

interface Inflight {
  readonly lastIndex: number;
  readonly bytes: number;
  readonly sentMs: number;
}

/** One copy of the state on its way to a peer. */
export interface OutgoingSnapshot {
  readonly transfer: number;
  readonly startedMs: number;
  /** Known once the first piece was read. */
  snapshot: Snapshot | undefined;
  offset: number;
  /** What is waited for: a piece from the disk, or the peer's answer. */
  waitsFor: "read" | "answer";
  sentMs: number;
  progressMs: number;
}

/** probe: one message at a time until the logs are known to agree. replicate: many under way.
 *  snapshot: the peer needs entries that are gone. */
export type ProgressState = "probe" | "replicate" | "snapshot";

export class Progress {
  readonly id: ServerId;
  state: ProgressState = "probe";
  /** Durable on the peer. Only rises. */
  matchIndex = 0;
  nextIndex: number;
  /** The peer's log agrees up to here, in its memory at least. */
  verifiedIndex = 0;
  /** The probe that waits for its answer; -1 if none does. */
  probeSentMs = -1;
  probeLastIndex = 0;
  /** The shell is reading entries for it. */
  isReading = false;
  contactMs: number;
  leaseUntilMs = 0;
  ackedRound = 0;
  commitSent = 0;
  /** Set when the peer is no longer a member: it is told so, and then forgotten. */
  removedIndex = 0;
  forgetAtMs = Infinity;
  outgoing: OutgoingSnapshot | undefined;
  #inflight: Inflight[] = [];
  #inflightBytes = 0;

  constructor(id: ServerId, nextIndex: number, nowMs: number) {
    this.id = id;
    this.nextIndex = nextIndex;
    this.contactMs = nowMs;
  }

  get inflightCount(): number {
    return this.#inflight.length;
  }

  get inflightBytes(): number {
    return this.#inflightBytes;
  }

  get oldestInflight(): Inflight | undefined {
    return this.#inflight[0];
  }

  sent(lastIndex: number, bytes: number, sentMs: number): void {
    this.#inflight.push({ lastIndex, bytes, sentMs });
    this.#inflightBytes += bytes;
    this.nextIndex = lastIndex + 1;
  }

  /** The peer has everything up to here on disk. True if that is news. */
  matched(index: number): boolean {
    let done = 0;
    while (done < this.#inflight.length && this.#inflight[done]!.lastIndex <= index) {
      this.#inflightBytes -= this.#inflight[done]!.bytes;
      done++;
    }
    if (done > 0) this.#inflight.splice(0, done);
    if (index > this.verifiedIndex) this.verifiedIndex = index;
    if (index <= this.matchIndex) return false;
    this.matchIndex = index;
    if (this.nextIndex <= index) this.nextIndex = index + 1;
    return true;
  }

  becomeProbe(nextIndex: number): void {
    this.state = "probe";
    this.nextIndex = Math.max(1, nextIndex);
    this.probeSentMs = -1;
    this.isReading = false;
    this.#clearInflight();
  }

  becomeReplicate(): void {
    this.state = "replicate";
    this.probeSentMs = -1;
    this.#clearInflight();
  }

  becomeSnapshot(outgoing: OutgoingSnapshot): void {
    this.state = "snapshot";
    this.outgoing = outgoing;
    this.probeSentMs = -1;
    this.isReading = false;
    this.#clearInflight();
  }

  #clearInflight(): void {
    this.#inflight = [];
    this.#inflightBytes = 0;
  }
}
