// The production state tables under the simulator: one SQLite file per state, copied as raftd
// copies it for snapshots.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command as StoreCommand, KvVerb, LogRecord, Query } from "#proto/messages.js";
import type { CommandInput, KvEntry, Outcome } from "#proto/messages.js";
import { errorCodes } from "#shared/errors.ts";
import type { Entry } from "../../services/raftd/core/raft/messages.ts";
import { Store } from "../../services/raftd/state/store.ts";
import { holderOf, type Step } from "./history.ts";
import {
  ABSENT,
  type Command,
  foldEntry,
  type SimState,
  type StateKind,
  type WriteOp,
  type WriteOutcome,
} from "./kv.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const DIGEST_BYTES = 4;
const holderSuffix = new RegExp(`${holderOf("")}$`);

/** What state.ts exports, or a copy of it with a planted fault. */
export type OpenStore = (path: string) => Store;

export class StoreStates implements StateKind {
  readonly swapsAnyValue = false;
  readonly snapshotChunkBytes = 64 * 1024;
  readonly #folder = mkdtempSync(join(fastFolder(), "curia-sim-state-"));
  readonly #open: OpenStore;
  #made = 0;

  constructor(open: OpenStore = (path) => new Store(path)) {
    this.#open = open;
  }

  empty(): SimState {
    return this.openAt(this.newPath(), 0);
  }

  decode(bytes: Uint8Array): SimState {
    const path = this.newPath();
    const digest = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
    writeFileSync(path, bytes.subarray(DIGEST_BYTES));
    return this.openAt(path, digest);
  }

  newPath(): string {
    return join(this.#folder, `state-${this.#made++}.db`);
  }

  openAt(path: string, digest: number): SimState {
    return new StoreState(this, path, this.#open(path), digest);
  }

  encodeCommand({ client, sequence, op }: Command): Uint8Array {
    const command = StoreCommand.encode(storeCommand(op)).finish();
    return LogRecord.encode({ client, sequence, floor: sequence, command }).finish();
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** In memory where there is such a place: the simulator loses what it wants lost by itself. */
function fastFolder(): string {
  return existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
}

/** Steps are operations of their own, but for reads. */
function stepCommand(step: Step) {
  if (step.kind !== "read") return kvCommand(step);
  return { verb: KvVerb.KV_GET_OR_EMPTY, key: encoder.encode(step.key) };
}

function storeCommand(op: WriteOp): CommandInput {
  switch (op.kind) {
    case "txn":
      return { txn: { operations: op.steps.map((step) => ({ kv: stepCommand(step) })) } };
    case "open": {
      const create = { id: sessionId(op.session), node: "n", lockDelayNs: "0" };
      const register = { node: { node: "n", address: "127.0.0.1" } };
      return { batch: { commands: [{ register }, { session: { create } }] } };
    }
    case "close":
      return { session: { destroy: sessionId(op.session) } };
    default:
      return { kv: kvCommand(op) };
  }
}

const idTail = "-0000-4000-8000-000000000000";

function sessionId(session: number): string {
  return session.toString(16).padStart(8, "0") + idTail;
}

function sessionNumber(id: string): number {
  return id === "" ? ABSENT : parseInt(id.slice(0, 8), 16);
}

function kvCommand(op: Extract<WriteOp, { key: string }>) {
  const key = encoder.encode(op.key);
  const bytes = (value: number) => encoder.encode(String(value));
  switch (op.kind) {
    case "put":
      return { verb: KvVerb.KV_SET, key, value: bytes(op.value) };
    case "cas":
      return { verb: KvVerb.KV_CAS, key, value: bytes(op.to), index: 0 };
    case "delete":
      return { verb: KvVerb.KV_DELETE, key };
    case "acquire":
    case "release": {
      const verb = op.kind === "acquire" ? KvVerb.KV_LOCK : KvVerb.KV_UNLOCK;
      return { verb, key, value: bytes(op.value), session: sessionId(op.session) };
    }
    default:
      return op satisfies never;
  }
}

function resultOf(command: StoreCommand, outcome: Outcome): WriteOutcome["result"] {
  const { verb } = command.kv ?? {};
  if (command.kind === "kv" && (verb === KvVerb.KV_SET || verb === KvVerb.KV_DELETE)) {
    return undefined;
  }
  if (command.kind === "batch") return outcome.batch[1]!.ok;
  if (command.kind !== "txn" || !outcome.ok) return outcome.ok;
  const { operations } = command.txn;
  // Deletions have no result.
  const results = [...outcome.txn!.results];
  return operations.filter(({ kv }) => kv!.verb !== KvVerb.KV_DELETE).flatMap(({ kv }) => {
    const result = results.shift()!;
    return kv!.verb === KvVerb.KV_GET_OR_EMPTY ? [valueOf(result.kv!)] : [];
  });
}

function valueOf(entry: KvEntry | undefined): number {
  return entry && entry.value.length > 0 ? Number(decoder.decode(entry.value)) : ABSENT;
}

class StoreState implements SimState {
  readonly #states: StoreStates;
  readonly #path: string;
  readonly #store: Store;
  digest: number;

  constructor(states: StoreStates, path: string, store: Store, digest: number) {
    this.#states = states;
    this.#path = path;
    this.#store = store;
    this.digest = digest;
  }

  get index(): number {
    return this.#store.applied().index;
  }

  get term(): number {
    return this.#store.applied().term;
  }

  get stampMs(): number {
    return this.#store.applied().stampMs;
  }

  get(key: string): number {
    const name = key.replace(holderSuffix, "");
    const query = Query.create({ kvGet: { key: encoder.encode(name) } });
    const [row] = this.#store.read(query).kv;
    return name === key ? valueOf(row) : sessionNumber(row?.session ?? "");
  }

  apply(entry: Entry): WriteOutcome | undefined {
    this.digest = foldEntry(this.digest, entry);
    const [outcome] = this.#store.apply([entry]).outcomes;
    if (!outcome || outcome.errorCode === errorCodes["outcome-unknown"]) return undefined;
    const command = StoreCommand.decode(LogRecord.decode(entry.bytes).command);
    return { result: resultOf(command, outcome), isNew: outcome.index === entry.index };
  }

  clone(): SimState {
    const path = this.#states.newPath();
    this.#store.snapshotTo(path);
    return this.#states.openAt(path, this.digest);
  }

  contentHash(): string {
    return this.#store.contentHash();
  }

  encode(): Uint8Array {
    const path = this.#states.newPath();
    this.#store.snapshotTo(path);
    const file = readFileSync(path);
    rmSync(path);
    const bytes = new Uint8Array(DIGEST_BYTES + file.length);
    new DataView(bytes.buffer).setUint32(0, this.digest);
    bytes.set(file, DIGEST_BYTES);
    return bytes;
  }

  close(): void {
    this.#store.close();
    for (const suffix of ["", "-wal", "-shm"]) rmSync(this.#path + suffix, { force: true });
  }
}
