// The main thread's end of the consensus worker: what one turn of the event loop asks for travels as
// one message.

import { workerFile } from "#shared/worker-file.ts";
import { RaftProposals } from "#proto/messages.js";
import type { RaftStatus } from "../core/raft/machine.ts";
import type { ReadMode } from "../core/raft/messages.ts";
import { ownBuffer } from "./entry-codec.ts";
import type {
  ConsensusOptions,
  FromConsensus,
  MainEffect,
  MainInput,
  ToConsensus,
} from "./thread-messages.ts";

const APPLIED_MS = 20;

/** Committed entries, packed, and then what the core orders. */
export type OnTurn = (packed: Uint8Array[], effects: MainEffect[]) => void;

/** What consensus tells of itself besides. */
export interface ConsensusEvents {
  disk(isFull: boolean, freeBytes: number): void;
  /** Entries of the log failed their checksum; it was cut there. */
  damaged(firstIndex: number, lastIndex: number): void;
  logWritten(tookMs: number): void;
  late(lateMs: number): void;
  garbage(address: string, reason: string): void;
  failed(reason: string): void;
}

export class ConsensusLink {
  readonly #worker: Worker;
  readonly #events: ConsensusEvents;
  readonly #onTurn: OnTurn;
  readonly #started = Promise.withResolvers<number>();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #statusWaits = new Map<number, (status: RaftStatus) => void>();
  #statusRequests = 0;
  #proposals: { id: number; kind: number; bytes: Uint8Array }[] = [];
  #defaultReads: number[] = [];
  #consistentReads: number[] = [];
  #inputs: MainInput[] = [];
  #appliedIndex = 0;
  #appliedTimer: Timer | undefined;
  #isScheduled = false;

  constructor(options: ConsensusOptions, events: ConsensusEvents, onTurn: OnTurn) {
    this.#onTurn = onTurn;
    this.#events = events;
    this.#worker = new Worker(workerFile("services/raftd/io/consensus.ts"));
    this.#worker.onmessage = ({ data }: MessageEvent<FromConsensus>) => this.#take(data);
    this.#worker.onerror = (event) => events.failed(`consensus worker: ${event.message}`);
    this.#post({ kind: "start", options });
  }

  /** The port that the server listens on, once the log is open. */
  get started(): Promise<number> {
    return this.#started.promise;
  }

  propose(id: number, bytes: Uint8Array, kind: "command" | "barrier"): void {
    this.#proposals.push({ id, kind: kind === "barrier" ? 1 : 0, bytes });
    this.#flushSoon();
  }

  requestRead(id: number, mode: ReadMode): void {
    (mode === "consistent" ? this.#consistentReads : this.#defaultReads).push(id);
    this.#flushSoon();
  }

  tell(input: MainInput): void {
    this.#inputs.push(input);
    this.#flushSoon();
  }

  /** Told with whatever is told next, after a while alone: the core needs only a sample of it. */
  applied(index: number): void {
    this.#appliedIndex = index;
    this.#appliedTimer ??= setTimeout(() => this.#flushSoon(), APPLIED_MS);
  }

  status(): Promise<RaftStatus> {
    const request = ++this.#statusRequests;
    this.#post({
      kind: "turn",
      defaultReads: [],
      consistentReads: [],
      inputs: [],
      appliedIndex: this.#appliedIndex,
      statusRequest: request,
    });
    return new Promise((resolve) => this.#statusWaits.set(request, resolve));
  }

  async stop(): Promise<void> {
    this.#flush();
    this.#post({ kind: "stop" });
    await this.#stopped.promise;
    this.#worker.terminate();
  }

  #flushSoon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isScheduled = false;
    clearTimeout(this.#appliedTimer);
    this.#appliedTimer = undefined;
    const proposals = this.#proposals.length > 0
      ? ownBuffer(RaftProposals.encode({ proposals: this.#proposals }).finish())
      : undefined;
    this.#post(
      {
        kind: "turn",
        proposals,
        defaultReads: this.#defaultReads,
        consistentReads: this.#consistentReads,
        inputs: this.#inputs,
        appliedIndex: this.#appliedIndex,
      },
      proposals ? [proposals.buffer] : [],
    );
    this.#proposals = [];
    this.#defaultReads = [];
    this.#consistentReads = [];
    this.#inputs = [];
  }

  #take(message: FromConsensus): void {
    switch (message.kind) {
      case "started":
        return this.#started.resolve(message.port);
      case "turn":
        for (const tookMs of message.commitsMs) this.#events.logWritten(tookMs);
        return this.#onTurn(message.packed, message.effects);
      case "disk":
        return this.#events.disk(message.isFull, message.freeBytes);
      case "late":
        return this.#events.late(message.lateMs);
      case "damaged": {
        const { lastIndex, promised } = message;
        return this.#events.damaged(lastIndex + 1, promised.index);
      }
      case "garbage":
        return this.#events.garbage(message.address, message.reason);
      case "status":
        this.#statusWaits.get(message.request)?.(message.status);
        this.#statusWaits.delete(message.request);
        return;
      case "failed":
        return this.#events.failed(message.reason);
      case "stopped":
        return this.#stopped.resolve();
    }
  }

  #post(message: ToConsensus, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}
