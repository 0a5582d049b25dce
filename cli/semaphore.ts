// One of n places of a semaphore below a prefix, by the protocol of Consul's client libraries: a
// contender key per session, and one key that lists the holders.

import { pathEscape } from "./api.ts";
import type { ApiClient } from "./api.ts";
import { readPairs, watchLock } from "./single-lock.ts";
import type { HeldLock, LockPair } from "./single-lock.ts";

interface Holders {
  Limit: number;
  Holders: Record<string, boolean>;
}

/** Marks keys as parts of a semaphore; beyond what a JavaScript number holds. */
const semaphoreFlag = "16210313421097356768";
const waitMaxMs = 15_000;

export class Semaphore implements HeldLock {
  readonly #agent: ApiClient;
  readonly #prefix: string;
  readonly #session: string;
  readonly #limit: number;

  constructor(agent: ApiClient, prefix: string, session: string, limit: number) {
    this.#agent = agent;
    this.#prefix = prefix;
    this.#session = session;
    this.#limit = limit;
  }

  async acquire(waitMs: number | undefined): Promise<boolean> {
    const endMs = waitMs === undefined ? Infinity : performance.now() + waitMs;
    await this.#agent.call("PUT", this.#contender, {
      query: { acquire: this.#session, flags: semaphoreFlag },
      body: "",
    });
    let index = "";
    for (;;) {
      const leftMs = Math.min(endMs - performance.now(), waitMaxMs);
      if (leftMs <= 0 && index !== "") return false;
      const reply = await this.#readAll(index, leftMs);
      const { holders, modifyIndex } = this.#holdersOf(reply.pairs);
      if (Object.keys(holders.Holders).length < holders.Limit) {
        holders.Holders[this.#session] = true;
        if (await this.#write(holders, modifyIndex)) return true;
        index = "";
      } else index = reply.index;
    }
  }

  watch(signal: AbortSignal, retriesMax: number): Promise<boolean> {
    const isHeld = (pairs: LockPair[]) =>
      this.#holdersOf(pairs).holders.Holders[this.#session] === true;
    return watchLock(this.#agent, this.#root, signal, retriesMax, isHeld, true);
  }

  async release(): Promise<void> {
    for (let isDone = false; !isDone;) {
      const { holders, modifyIndex } = this.#holdersOf((await this.#readAll("", 0)).pairs);
      delete holders.Holders[this.#session];
      isDone = await this.#write(holders, modifyIndex);
    }
    await this.#agent.call("DELETE", this.#contender);
    const { pairs } = await this.#readAll("", 0);
    const { holders, modifyIndex } = this.#holdersOf(pairs);
    const isUsed = pairs.some(({ Session }) => Session) ||
      Object.keys(holders.Holders).length > 0;
    if (isUsed || modifyIndex === 0) return;
    await this.#agent.call("DELETE", this.#lock, { query: { cas: String(modifyIndex) } });
  }

  get #root(): string {
    return `/v1/kv/${pathEscape(this.#prefix)}/`;
  }

  get #contender(): string {
    return `${this.#root}${this.#session}`;
  }

  get #lock(): string {
    return `${this.#root}.lock`;
  }

  #readAll(index: string, waitMs: number) {
    return readPairs(this.#agent, this.#root, index, waitMs, { recurse: true });
  }

  /** Those listed whose session still has its contender key. */
  #holdersOf(pairs: LockPair[]): { holders: Holders; modifyIndex: number } {
    const lock = pairs.find(({ Key }) => Key.endsWith("/.lock"));
    if (lock === undefined) {
      return { holders: { Limit: this.#limit, Holders: {} }, modifyIndex: 0 };
    }
    const holders = JSON.parse(Buffer.from(lock.Value ?? "", "base64").toString()) as Holders;
    const alive = new Set(pairs.map(({ Session }) => Session));
    holders.Holders = Object.fromEntries(
      Object.entries(holders.Holders).filter(([session]) => alive.has(session)),
    );
    return { holders, modifyIndex: lock.ModifyIndex };
  }

  async #write(holders: Holders, modifyIndex: number): Promise<boolean> {
    const { text } = await this.#agent.call("PUT", this.#lock, {
      query: { cas: String(modifyIndex), flags: semaphoreFlag },
      body: holders,
    });
    return text.trim() === "true";
  }
}
