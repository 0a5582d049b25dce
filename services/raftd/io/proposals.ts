// Writes that wait for their outcome. A proposal that was refused or lost is made again, since its
// client id and sequence let it apply only once, until the caller's time or the hold time is over.

import { LogRecord, type Outcome } from "#proto/messages.js";
import { CuriaError } from "#shared/errors.ts";
import type { Refusal, ServerId } from "../core/raft/messages.ts";
import { type Caller, Callers } from "./callers.ts";

export interface ProposalsOptions {
  /** This server, as entries name their origin. */
  id: ServerId;
  /** How long a write waits for a leader (`rpc_hold_timeout`). */
  holdMs: number;
  propose(id: number, bytes: Uint8Array, kind: ProposalKind): void;
  /** Why a command must not enter the log: some server could not apply it. */
  refusal(command: Uint8Array): CuriaError | undefined;
}

type ProposalKind = "command" | "barrier";

interface Waiting extends Caller {
  kind: ProposalKind;
  bytes: Uint8Array;
  resolve(outcome: Outcome): void;
  /** It reached a leader's log at least once, so giving up leaves its outcome open. */
  mayBeApplied: boolean;
}

/** What an applied entry says of who proposed it. */
export interface AppliedEntry {
  index: number;
  term: number;
  origin: ServerId;
  id: number;
}

export class Proposals {
  readonly #options: ProposalsOptions;
  readonly #callers: Callers<Waiting>;
  /** Where in the log the proposals were said to be: index → proposal and term. */
  readonly #placed = new Map<number, { id: number; term: number }>();
  #ownSequence = 0;
  readonly #ownClient: string;

  constructor(options: ProposalsOptions, ownClient: string) {
    this.#options = options;
    this.#ownClient = ownClient;
    this.#callers = new Callers({
      ask: (id, { bytes, kind }) => options.propose(id, bytes, kind),
      tooLate,
    });
  }

  /** Nobody is given up on for now. */
  set isHeld(isHeld: boolean) {
    this.#callers.isHeld = isHeld;
  }

  /** This server, as entries name it. */
  get origin(): ServerId {
    return this.#options.id;
  }

  get count(): number {
    return this.#callers.count;
  }

  /** Settles once the command is applied here, or cannot be any more. `command` is an encoded
   *  Command; the sequence is the caller's, or ours when it has none. */
  propose(
    command: Uint8Array,
    caller: { client: string; sequence: number; floor: number } | undefined,
    timeoutMs: number,
  ): Promise<Outcome> {
    const refusal = this.#options.refusal(command);
    if (refusal !== undefined) return Promise.reject(refusal);
    const credited = caller !== undefined && caller.client !== "" ? caller : this.#own();
    const { client, sequence, floor } = credited;
    const record = LogRecord.encode({ client, sequence, floor, command }).finish();
    return this.#propose("command", record, Math.min(timeoutMs, this.#options.holdMs));
  }

  /** An entry that the replica itself acts on, and that does no harm twice. */
  proposeBarrier(bytes: Uint8Array, timeoutMs: number): Promise<Outcome> {
    return this.#propose("barrier", bytes, timeoutMs);
  }

  #propose(kind: ProposalKind, bytes: Uint8Array, timeoutMs: number): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const deadlineMs = performance.now() + timeoutMs;
      this.#callers.add({ kind, bytes, resolve, reject, deadlineMs, mayBeApplied: false });
    });
  }

  #own() {
    const sequence = ++this.#ownSequence;
    // The floor may lag: it only bounds how many outcomes the state keeps for us.
    return { client: this.#ownClient, sequence, floor: Math.max(1, sequence - OWN_OPEN_MAX) };
  }

  answered(ids: readonly number[], firstIndex: number, term: number): void {
    ids.forEach((id, n) => {
      const waiting = this.#callers.get(id);
      if (waiting === undefined) return;
      waiting.mayBeApplied = true;
      this.#placed.set(firstIndex + n, { id, term });
    });
  }

  refused(ids: readonly number[], refusal: Refusal, message: string): void {
    const error = finalRefusal(refusal, message);
    for (const id of ids) {
      const waiting = this.#callers.get(id);
      if (waiting === undefined) continue;
      if (refusal === "lost") waiting.mayBeApplied = true;
      if (error === undefined) this.#callers.park(id);
      else {
        this.#callers.remove(id);
        waiting.reject(error);
      }
    }
  }

  /** Makes the refused proposals again: a leader is known, or it is time to try. */
  retry(): void {
    this.#callers.retry();
  }

  /** An entry was applied; settles the caller that waits for it. */
  applied(entry: AppliedEntry, outcome: Outcome | undefined): void {
    const placed = this.#placed.get(entry.index);
    if (placed !== undefined) {
      this.#placed.delete(entry.index);
      // Another term's entry took its place: it was never done.
      if (placed.term !== entry.term) this.refused([placed.id], "lost", "");
    }
    if (entry.origin !== this.#options.id || outcome === undefined) return;
    const waiting = this.#callers.get(entry.id);
    if (waiting === undefined) return;
    this.#callers.remove(entry.id);
    waiting.resolve(outcome);
  }

  /** A snapshot took the place of entries: those in it are asked for again, and the state answers
   *  with the outcome it kept. */
  skipped(throughIndex: number): void {
    for (const [index, { id }] of this.#placed) {
      if (index > throughIndex) continue;
      this.#placed.delete(index);
      this.refused([id], "lost", "");
    }
  }

  close(): void {
    this.#callers.close(new CuriaError("unavailable", "raftd is stopping"));
    this.#placed.clear();
  }

  /** This server is no member any more: what waits is for others to do, or to say what came of it. */
  giveUp(): void {
    this.#callers.rejectAll(new CuriaError("unavailable", "This server has left the cluster"));
    this.#placed.clear();
  }
}

/** Own writes (duties of the leader) are few and awaited one by one. */
const OWN_OPEN_MAX = 1_024;

function tooLate({ mayBeApplied }: Waiting): CuriaError {
  if (!mayBeApplied) return new CuriaError("no-leader", "No cluster leader");
  return new CuriaError("outcome-unknown", "The write was not confirmed in time");
}

/** The refusals that trying again does not help, as the caller sees them. */
function finalRefusal(refusal: Refusal, message: string): CuriaError | undefined {
  switch (refusal) {
    case "overloaded":
      return new CuriaError("overloaded", message || "Too many writes wait for the log");
    case "disk-full":
      return new CuriaError(
        "disk-full",
        message || "The leader's disk is full: writes are refused",
      );
    case "invalid":
      return new CuriaError("invalid-argument", message);
    case "not-leader":
    case "transferring":
    case "not-ready":
    case "lost":
      return undefined;
  }
}
