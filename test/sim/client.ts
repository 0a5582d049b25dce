// A client: one call at a time, sent again to another server when no answer comes, always with the
// same sequence number; records what it asked and what it was told.

import type { Random } from "#shared/random.ts";
import type { ReadMode } from "../../services/raftd/core/raft/messages.ts";
import { type Call, type History, holderOf, isOpen, type Op } from "./history.ts";
import { drawLock, drawTxn, type KeyInUse, type Keys } from "./keys.ts";
import { ABSENT, type WriteOp } from "./kv.ts";
import type { Answer, Request } from "./state-thread.ts";
import type { Mix } from "./mix.ts";
import { count, type World } from "./world.ts";

/** Sends a request to a server; the answer may never come. */
export type Ask = (server: string, request: Request, reply: (answer: Answer) => void) => void;

export class Client {
  readonly #world: World;
  readonly #random: Random;
  readonly #history: History;
  readonly #keys: Keys;
  readonly #ask: Ask;
  readonly #servers: () => readonly string[];
  readonly #name: string;
  /** A client whose write has no known outcome is not used again. */
  #generation = 0;
  #sequence = 0;
  #isStopped = false;
  readonly #mix: Mix;
  /** The server it lives with. */
  readonly #home: string;
  /** It only reads, in this mode: so it is not held up by writes that wait. */
  readonly #onlyReads: ReadMode | undefined;

  constructor(
    world: World,
    name: string,
    history: History,
    keys: Keys,
    ask: Ask,
    servers: () => readonly string[],
    mix: Mix,
    home: string,
  ) {
    this.#world = world;
    this.#random = world.random.split();
    this.#name = name;
    this.#history = history;
    this.#keys = keys;
    this.#ask = ask;
    this.#servers = servers;
    this.#mix = mix;
    this.#home = home;
    this.#onlyReads = this.#random.pick([undefined, undefined, "default", "consistent"]);
  }

  start(): void {
    this.#world.queue.after(
      this.#random.between(0, this.#mix.clientPauseMaxMs),
      () => this.#next(),
    );
  }

  stop(): void {
    this.#isStopped = true;
  }

  #next(): void {
    if (this.#isStopped) return;
    const random = this.#random;
    const keys = this.#keys.pick(random);
    const [chosen] = keys;
    const op = random.chance(this.#mix.txnShare)
      ? this.#transact(keys)
      : random.chance(this.#mix.lockShare)
      ? drawLock(random, this.#keys, this.#onlyReads !== undefined)
      : this.#choose(chosen.lastValue);
    if ("value" in op) chosen.lastValue = op.value;
    if (op.kind === "cas") chosen.lastValue = op.to;
    const client = `${this.#name}.${this.#generation}`;
    const isSession = op.kind === "open" || op.kind === "close";
    const key = isSession ? isOpen(op.session) : chosen.key;
    const call = this.#history.invoke(client, key, op, this.#world.queue.nowMs);
    const request = this.#request(client, key, op);
    this.#attempt(call, request, 1);
  }

  #transact(keys: readonly KeyInUse[]): Op {
    const onlyReads = this.#onlyReads !== undefined;
    const { swapsAnyValue } = this.#world.states;
    return drawTxn(this.#random, keys, this.#keys, { onlyReads, swapsAnyValue });
  }

  #choose(lastValue: number): Op {
    const random = this.#random;
    const dice = this.#onlyReads ? 0 : random.fraction();
    if (dice < 0.5) return { kind: "get" };
    if (dice < 0.75) return { kind: "put", value: this.#keys.newValue() };
    if (dice < 0.9) {
      const from = this.#world.states.swapsAnyValue ? lastValue : ABSENT;
      return { kind: "cas", from, to: this.#keys.newValue() };
    }
    return { kind: "delete" };
  }

  #request(client: string, key: string, op: Op): Request {
    const keys = readKeys(key, op);
    if (keys !== undefined) {
      const mode = this.#onlyReads ?? (this.#random.chance(0.6) ? "default" : "consistent");
      return { kind: "read", keys, mode };
    }
    const write = { ...op, key } as WriteOp;
    return { kind: "write", command: { client, sequence: ++this.#sequence, op: write } };
  }

  #attempt(call: Call, request: Request, attempt: number): void {
    if (this.#isStopped) return;
    const random = this.#random, queue = this.#world.queue;
    let isOver = false;
    const again = (waitMs: number) => {
      if (isOver) return;
      isOver = true;
      if (attempt >= 12) return this.#giveUp(call);
      queue.after(waitMs, () => this.#attempt(call, request, attempt + 1));
    };
    queue.after(random.between(150, 800), () => again(0));
    const isHome = random.chance(this.#mix.pinnedShare);
    const server = isHome ? this.#home : random.pick(this.#servers());
    this.#ask(server, request, (answer) => {
      if (isOver) return;
      if (answer.kind !== "done") return again(random.between(5, 80));
      isOver = true;
      call.returnMs = queue.nowMs;
      call.result = call.op.kind === "get" ? (answer.result as number[])[0] : answer.result;
      count(this.#world, "calls answered");
      this.#pause();
    });
  }

  #giveUp(call: Call): void {
    count(this.#world, "calls without answer");
    if (readKeys(call.key, call.op) === undefined) this.#generation++;
    this.#pause();
  }

  #pause(): void {
    this.#world.queue.after(
      this.#random.between(0, this.#mix.clientPauseMaxMs),
      () => this.#next(),
    );
  }
}

/** What is to be read; undefined: the operation writes. */
function readKeys(key: string, op: Op): string[] | undefined {
  if (op.kind === "get") return [key];
  if (op.kind === "look") return [key, holderOf(key)];
  if (op.kind !== "txn" || op.steps.some((step) => step.kind !== "read")) return undefined;
  return op.steps.map((step) => step.key);
}
