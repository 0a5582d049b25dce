// A client: one call at a time, sent again to another server when no answer comes, always with the
// same sequence number; records what it asked and what it was told.

import type { Random } from "#shared/random.ts";
import type { ReadMode } from "../../services/raftd/core/raft/messages.ts";
import type { Call, History, Op } from "./history.ts";
import { ABSENT } from "./kv.ts";
import type { Answer, Request } from "./state-thread.ts";
import type { Mix } from "./mix.ts";
import { count, type World } from "./world.ts";

/** Sends a request to a server; the answer may never come. */
export type Ask = (server: string, request: Request, reply: (answer: Answer) => void) => void;

/** Calls per key before all clients turn to new keys: the checker's work grows with it. */
const CALLS_PER_KEY = 60;
const KEYS_AT_ONCE = 3;

/** Which keys are in use, shared by all clients. */
export class Keys {
  #made = 0;
  #current: { key: string; calls: number; lastValue: number }[] = [];
  #value = ABSENT;

  pick(random: Random): { key: string; calls: number; lastValue: number } {
    while (this.#current.length < KEYS_AT_ONCE) {
      this.#current.push({ key: `k${this.#made++}`, calls: 0, lastValue: ABSENT });
    }
    const chosen = random.pick(this.#current);
    chosen.calls++;
    if (chosen.calls >= CALLS_PER_KEY) this.#current = this.#current.filter((k) => k !== chosen);
    return chosen;
  }

  newValue(): number {
    return ++this.#value;
  }
}

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
    const chosen = this.#keys.pick(random);
    const op = this.#choose(chosen.lastValue);
    if (op.kind === "put") chosen.lastValue = op.value;
    if (op.kind === "cas") chosen.lastValue = op.to;
    const client = `${this.#name}.${this.#generation}`;
    const call = this.#history.invoke(client, chosen.key, op, this.#world.queue.nowMs);
    const request = this.#request(client, chosen.key, op);
    this.#attempt(call, request, 1);
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
    if (op.kind === "get") {
      const mode = this.#onlyReads ?? (this.#random.chance(0.6) ? "default" : "consistent");
      return { kind: "read", key, mode };
    }
    return { kind: "write", command: { client, sequence: ++this.#sequence, op: { ...op, key } } };
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
      call.result = answer.result;
      count(this.#world, "calls answered");
      this.#pause();
    });
  }

  #giveUp(call: Call): void {
    count(this.#world, "calls without answer");
    if (call.op.kind !== "get") this.#generation++;
    this.#pause();
  }

  #pause(): void {
    this.#world.queue.after(
      this.#random.between(0, this.#mix.clientPauseMaxMs),
      () => this.#next(),
    );
  }
}
