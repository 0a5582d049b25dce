// What raftd's two long-lived threads tell each other: the main thread (state, bus) and the
// consensus worker. All that one turn of the event loop gives rise to travels as one message.

import type { RaftSettings } from "../core/raft/settings.ts";
import type { Effect, Input, RaftStatus } from "../core/raft/machine.ts";
import type { Configuration, LogPosition, ServerId } from "../core/raft/messages.ts";

/** Proposal ids from here on are changes of the configuration, not writes. */
export const CHANGE_IDS_FROM = 2 ** 50;

export interface ConsensusOptions {
  id: ServerId;
  node: string;
  datacenter: string;
  release: string;
  settings: RaftSettings;
  seed: number;
  /** Folder of log.db and vote. */
  folder: string;
  /** Free bytes on its file system below which writes are refused. */
  reserveBytes: number;
  /** For tests: a module that is told of each step (steps.ts). */
  stepsModule: string | undefined;
  listenHost: string;
  listenPort: number;
  /** Where calls that arrive on the server port are handed to. */
  busSocket: string;
  words: SharedArrayBuffer;
  /** What the state file holds. */
  applied: LogPosition;
  stampMs: number;
  configuration: Configuration;
}

/** Facts for the core that only the main thread knows. */
export type MainInput = Extract<
  Input,
  {
    kind:
      | "configuration-change-proposed"
      | "bootstrap-requested"
      | "transfer-requested"
      | "snapshot-taken"
      | "snapshot-read"
      | "snapshot-read-failed"
      | "snapshot-written"
      | "snapshot-installed"
      | "snapshot-install-failed";
  }
>;

export type ToConsensus =
  | { kind: "start"; options: ConsensusOptions }
  | {
    kind: "turn";
    /** Encoded RaftProposals. */
    proposals?: Uint8Array<ArrayBuffer>;
    defaultReads: number[];
    consistentReads: number[];
    appliedIndex: number;
    inputs: MainInput[];
    statusRequest?: number;
  }
  | { kind: "stop" };

/** Orders of the core that the main thread carries out. */
export type MainEffect = Extract<
  Effect,
  {
    kind:
      | "answer-proposals"
      | "refuse-proposals"
      | "answer-reads"
      | "refuse-reads"
      | "answer-transfer"
      | "publish-role"
      | "publish-configuration"
      | "read-snapshot"
      | "close-snapshot"
      | "write-snapshot"
      | "install-snapshot"
      | "halt";
  }
>;

export type FromConsensus =
  | { kind: "started"; port: number }
  | {
    kind: "turn";
    packed: Uint8Array<ArrayBuffer>[];
    effects: MainEffect[];
    /** How long each commit of the log since the last turn took. */
    commitsMs: number[];
  }
  | { kind: "disk"; isFull: boolean; freeBytes: number }
  /** Entries after `lastIndex` were cut off, up to the promised one: the leader has to send them. */
  | { kind: "damaged"; lastIndex: number; promised: LogPosition }
  /** The consensus worker had no processor when it wanted one. */
  | { kind: "late"; lateMs: number }
  /** A connection to the server port that was refused or closed for what it sent. */
  | { kind: "garbage"; address: string; reason: string }
  | { kind: "status"; request: number; status: RaftStatus }
  | { kind: "failed"; reason: string }
  | { kind: "stopped" };

/** 64-bit words that both threads see without a message. Times are microseconds of bootTimeMs. */
export class SharedWords {
  readonly buffer: SharedArrayBuffer;
  readonly #words: BigInt64Array;

  constructor(buffer = new SharedArrayBuffer(4 * 8)) {
    this.buffer = buffer;
    this.#words = new BigInt64Array(buffer);
  }

  /** Until when this server may answer default reads alone; 0: it may not. */
  get leaseUntilMs(): number {
    return Number(Atomics.load(this.#words, 0)) / 1000;
  }
  set leaseUntilMs(value: number) {
    Atomics.store(this.#words, 0, BigInt(Math.floor(value * 1000)));
  }

  get commitIndex(): number {
    return Number(Atomics.load(this.#words, 1));
  }
  set commitIndex(value: number) {
    Atomics.store(this.#words, 1, BigInt(value));
  }

  /** When the leader was last heard; on the leader itself, now. */
  get leaderContactMs(): number {
    return Number(Atomics.load(this.#words, 2)) / 1000;
  }
  set leaderContactMs(value: number) {
    Atomics.store(this.#words, 2, BigInt(Math.floor(value * 1000)));
  }
}
