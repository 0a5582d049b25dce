// What was handed to the log writer, what is durable, and which messages wait for that. One write
// per step at most; writes are numbered and never overtake one another.

import type { HardState, Persist } from "./machine.ts";
import type { Entry, LogPosition, Message, ServerId } from "./messages.ts";

/** Held messages beyond this are dropped, oldest first: a writer that hangs must not eat memory. */
const HELD_MAX = 4_096;

interface Write {
  readonly seq: number;
  /** Where the log ends, as far as this write put it; lowered when a later write cuts it. */
  lastIndex: number;
  readonly atMs: number;
}

interface HeldMessage {
  readonly seq: number;
  readonly to: ServerId;
  readonly message: Message;
}

interface PendingWrite {
  hardState?: HardState;
  reset?: LogPosition;
  truncateFrom?: number;
  entries: readonly Entry[];
}

export class Disk {
  #issuedSeq = 0;
  #persistedSeq = 0;
  #persistedIndex: number;
  #hardStateSeq = 0;
  #writes: Write[] = [];
  #held: HeldMessage[] = [];
  #pending: PendingWrite | undefined;

  constructor(persistedIndex: number) {
    this.#persistedIndex = persistedIndex;
  }

  /** The log is durable up to here. */
  get persistedIndex(): number {
    return this.#persistedIndex;
  }

  /** The write that makes everything decided so far durable. */
  get latestSeq(): number {
    return this.#pending ? this.#issuedSeq + 1 : this.#issuedSeq;
  }

  /** The write that makes the present term and vote durable. */
  get hardStateSeq(): number {
    return this.#hardStateSeq;
  }

  isDurable(seq: number): boolean {
    return seq <= this.#persistedSeq;
  }

  /** How long the writer has owed its oldest answer. */
  stallMs(nowMs: number): number {
    return this.#writes.length === 0 ? 0 : nowMs - this.#writes[0]!.atMs;
  }

  writeHardState(hardState: HardState): void {
    this.#draft().hardState = hardState;
    this.#hardStateSeq = this.latestSeq;
  }

  writeEntries(entries: readonly Entry[]): void {
    const draft = this.#draft();
    draft.entries = draft.entries.length === 0 ? entries : [...draft.entries, ...entries];
  }

  truncateFrom(index: number): void {
    this.#draft().truncateFrom = index;
    this.#cutTo(index - 1);
  }

  reset(base: LogPosition): void {
    this.#draft().reset = base;
    this.#cutTo(base.index);
    this.#persistedIndex = Math.min(this.#persistedIndex, base.index);
  }

  /** The write of this step, if there is one. */
  take(nowMs: number, lastIndex: number): Persist | undefined {
    const pending = this.#pending;
    if (!pending) return undefined;
    this.#pending = undefined;
    const seq = ++this.#issuedSeq;
    this.#writes.push({ seq, lastIndex, atMs: nowMs });
    return { kind: "persist", seq, ...pending };
  }

  /** Keeps a message back until write `seq` is durable. */
  hold(seq: number, to: ServerId, message: Message): void {
    if (this.#held.length >= HELD_MAX) this.#held.shift();
    this.#held.push({ seq, to, message });
  }

  /** The writer is done up to `seq`: what may go out. */
  persisted(seq: number): readonly HeldMessage[] {
    if (seq <= this.#persistedSeq) return [];
    this.#persistedSeq = seq;
    let done = 0;
    while (done < this.#writes.length && this.#writes[done]!.seq <= seq) {
      this.#persistedIndex = this.#writes[done]!.lastIndex;
      done++;
    }
    this.#writes.splice(0, done);
    if (this.#held.length === 0) return [];
    const free = this.#held.filter((held) => held.seq <= seq);
    if (free.length > 0) this.#held = this.#held.filter((held) => held.seq > seq);
    return free;
  }

  #draft(): PendingWrite {
    return this.#pending ??= { entries: [] };
  }

  #cutTo(lastIndex: number): void {
    this.#persistedIndex = Math.min(this.#persistedIndex, lastIndex);
    for (const write of this.#writes) write.lastIndex = Math.min(write.lastIndex, lastIndex);
  }
}
