// A small state machine in the shape of the real one: keys with values, and per client the outcome
// of its last write, so that a write that is sent again is not applied again.

import type { Entry } from "../../services/raftd/core/raft/messages.ts";
import { holderOf, isOpen, type Result, type Step } from "./history.ts";

export type WriteOp =
  | { readonly kind: "put"; readonly key: string; readonly value: number }
  | { readonly kind: "cas"; readonly key: string; readonly from: number; readonly to: number }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "txn"; readonly steps: readonly Step[] }
  | { readonly kind: "open" | "close"; readonly session: number }
  | {
    readonly kind: "acquire" | "release";
    readonly key: string;
    readonly session: number;
    readonly value: number;
  };

export interface Command {
  readonly client: string;
  readonly sequence: number;
  readonly op: WriteOp;
}

/** What a write answers; undefined if the state does not say. */
export type WriteResult = Exclude<Result, number>;

/** One applied command. Undefined instead of it: this copy came too late to matter. */
export interface WriteOutcome {
  readonly result: WriteResult;
  readonly isNew: boolean;
}

/** A replicated state as the simulator needs it. */
export interface SimState {
  readonly index: number;
  readonly term: number;
  readonly stampMs: number;
  /** Folds in every applied entry: equal at the same index, or the replicas have parted. */
  readonly digest: number;
  /** A key's value, or who holds it by the name of holderOf. */
  get(key: string): number;
  apply(entry: Entry): WriteOutcome | undefined;
  clone(): SimState;
  contentHash(): number | string;
  encode(): Uint8Array;
  close(): void;
}

/** The kind of state that a cluster replicates. */
export interface StateKind {
  empty(): SimState;
  decode(bytes: Uint8Array): SimState;
  encodeCommand(command: Command): Uint8Array;
  /** Whether a swap may start from any value, or only from an absent key. */
  readonly swapsAnyValue: boolean;
  /** So that a snapshot takes several pieces, and not hundreds. */
  readonly snapshotChunkBytes: number;
  close(): void;
}

/** A key that is not there. */
export const ABSENT = 0;

interface ClientRow {
  readonly sequence: number;
  readonly result: boolean | readonly number[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function encodeCommand(command: Command): Uint8Array {
  return encoder.encode(JSON.stringify(command));
}

function decodeCommand(bytes: Uint8Array): Command {
  return JSON.parse(decoder.decode(bytes)) as Command;
}

export class KvState implements SimState {
  index = 0;
  term = 0;
  stampMs = 0;
  digest = 0;
  #rows: Map<string, number>;
  #clients: Map<string, ClientRow>;

  constructor(rows?: Map<string, number>, clients?: Map<string, ClientRow>) {
    this.#rows = rows ?? new Map();
    this.#clients = clients ?? new Map();
  }

  get(key: string): number {
    return this.#rows.get(key) ?? ABSENT;
  }

  apply(entry: Entry): WriteOutcome | undefined {
    this.index = entry.index;
    this.term = entry.term;
    this.stampMs = entry.stampMs;
    this.digest = foldEntry(this.digest, entry);
    return entry.kind === "command" ? this.#applyOnce(decodeCommand(entry.bytes)) : undefined;
  }

  #applyOnce(command: Command): WriteOutcome | undefined {
    const known = this.#clients.get(command.client);
    if (known && known.sequence === command.sequence) {
      return { result: known.result, isNew: false };
    }
    if (known && known.sequence > command.sequence) return undefined;
    const result = this.#write(command.op);
    this.#clients.set(command.client, { sequence: command.sequence, result });
    return { result, isNew: true };
  }

  #write(op: WriteOp): boolean | readonly number[] {
    switch (op.kind) {
      case "put":
        this.#rows.set(op.key, op.value);
        return true;
      case "delete":
        this.#rows.delete(holderOf(op.key));
        return this.#rows.delete(op.key);
      case "cas":
        if (this.get(op.key) !== op.from) return false;
        this.#rows.set(op.key, op.to);
        return true;
      case "txn":
        return this.#transact(op.steps);
      case "open":
        if (this.get(isOpen(op.session)) === 1) return false;
        this.#rows.set(isOpen(op.session), 1);
        return true;
      case "close":
        return this.#close(op.session);
      case "acquire": {
        const holder = this.get(holderOf(op.key));
        if (this.get(isOpen(op.session)) !== 1) return false;
        if (holder !== ABSENT && holder !== op.session) return false;
        this.#rows.set(holderOf(op.key), op.session).set(op.key, op.value);
        return true;
      }
      case "release":
        if (this.get(holderOf(op.key)) !== op.session) return false;
        this.#rows.delete(holderOf(op.key));
        this.#rows.set(op.key, op.value);
        return true;
      default:
        return op satisfies never;
    }
  }

  #close(session: number): boolean {
    this.#rows.delete(isOpen(session));
    for (const [name, value] of this.#rows) {
      if (name.endsWith(holderOf("")) && value === session) this.#rows.delete(name);
    }
    return true;
  }

  #transact(steps: readonly Step[]): false | readonly number[] {
    const before = new Map(this.#rows);
    const reads: number[] = [];
    for (const step of steps) {
      if (step.kind === "read") reads.push(this.get(step.key));
      else if (this.#write(step) === false && step.kind === "cas") {
        this.#rows = before;
        return false;
      }
    }
    return reads;
  }

  clone(): KvState {
    const copy = new KvState(new Map(this.#rows), new Map(this.#clients));
    copy.index = this.index;
    copy.term = this.term;
    copy.stampMs = this.stampMs;
    copy.digest = this.digest;
    return copy;
  }

  /** The content alone, for comparing replicas. */
  contentHash(): number {
    let sum = 0;
    for (const [key, value] of this.#rows) sum = (sum + fold(fold(1, hashText(key)), value)) >>> 0;
    for (const [client, row] of this.#clients) {
      sum = (sum + fold(fold(2, hashText(client)), hashText(JSON.stringify(row)))) >>> 0;
    }
    return sum;
  }

  close(): void {}

  encode(): Uint8Array {
    const { index, term, stampMs, digest } = this;
    const rows = [...this.#rows], clients = [...this.#clients];
    return encoder.encode(JSON.stringify({ index, term, stampMs, digest, rows, clients }));
  }

  static decode(bytes: Uint8Array): KvState {
    const form = JSON.parse(decoder.decode(bytes));
    const state = new KvState(new Map(form.rows), new Map(form.clients));
    state.index = form.index;
    state.term = form.term;
    state.stampMs = form.stampMs;
    state.digest = form.digest;
    return state;
  }
}

export const kvStates: StateKind = {
  empty: () => new KvState(),
  decode: (bytes) => KvState.decode(bytes),
  encodeCommand,
  swapsAnyValue: true,
  snapshotChunkBytes: 1_000,
  close: () => {},
};

export function foldEntry(digest: number, entry: Entry): number {
  return fold(fold(digest, entry.term), hashBytes(entry.bytes));
}

export function fold(digest: number, value: number): number {
  let z = (Math.imul(digest ^ 0x9e3779b9, 0x21f0aaad) + (value | 0)) >>> 0;
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

export function hashText(text: string): number {
  let hash = 7;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash, 31) + text.charCodeAt(i) | 0;
  return hash >>> 0;
}

export function hashBytes(bytes: Uint8Array): number {
  let hash = 7;
  for (const byte of bytes) hash = Math.imul(hash, 31) + byte | 0;
  return hash >>> 0;
}
