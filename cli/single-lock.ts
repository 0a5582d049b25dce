// A lock on one key, by the protocol of Consul's client libraries.

import { ApiError, pathEscape } from "./api.ts";
import type { ApiClient } from "./api.ts";

/** What `lock` needs of a lock or a place in a semaphore. */
export interface HeldLock {
  /** False when the wait was over first; undefined waits for ever. */
  acquire(waitMs: number | undefined): Promise<boolean>;
  /** Resolves to true when the lock was lost, to false when the signal came first. */
  watch(signal: AbortSignal, retriesMax: number): Promise<boolean>;
  release(): Promise<void>;
}

export interface LockPair {
  Key: string;
  Value: string | null;
  ModifyIndex: number;
  Session?: string;
}

/** Marks keys as locks of this kind; beyond what a JavaScript number holds. */
const lockFlag = "3304740253564472344";
/** How long to wait when a lock delay keeps a free key from being taken. */
const delayRetryMs = 5_000;
const waitMaxMs = 15_000;

export class SingleLock implements HeldLock {
  readonly #agent: ApiClient;
  readonly #path: string;
  readonly #session: string;

  constructor(agent: ApiClient, key: string, session: string) {
    this.#agent = agent;
    this.#path = `/v1/kv/${pathEscape(key)}`;
    this.#session = session;
  }

  async acquire(waitMs: number | undefined): Promise<boolean> {
    const endMs = waitMs === undefined ? Infinity : performance.now() + waitMs;
    let index = "";
    for (;;) {
      const leftMs = Math.min(endMs - performance.now(), waitMaxMs);
      if (leftMs <= 0 && index !== "") return false;
      const held = await readPairs(this.#agent, this.#path, index, leftMs);
      index = held.index;
      if (held.pairs[0]?.Session) {
        if (held.pairs[0].Session === this.#session) return true;
        continue;
      }
      const query = { acquire: this.#session, flags: lockFlag };
      const { text } = await this.#agent.call("PUT", this.#path, { query, body: "" });
      if (text.trim() === "true") return true;
      const after = await readPairs(this.#agent, this.#path, "", 0);
      // Free and yet refused: a lock delay runs. Held: somebody was faster.
      if (!after.pairs[0]?.Session) {
        if (performance.now() + delayRetryMs > endMs) return false;
        await Bun.sleep(delayRetryMs);
      }
    }
  }

  watch(signal: AbortSignal, retriesMax: number): Promise<boolean> {
    return watchLock(
      this.#agent,
      this.#path,
      signal,
      retriesMax,
      ([pair]) => pair?.Session === this.#session,
    );
  }

  /** Unlocks, and removes the key when nobody took it meanwhile. */
  async release(): Promise<void> {
    await this.#agent.call("PUT", this.#path, {
      query: { release: this.#session, flags: lockFlag },
      body: "",
    });
    const { pairs: [pair] } = await readPairs(this.#agent, this.#path, "", 0);
    if (pair === undefined || pair.Session) return;
    await this.#agent.call("DELETE", this.#path, { query: { cas: String(pair.ModifyIndex) } });
  }
}

/** Pairs and their index; an index given waits for a change. */
export async function readPairs(
  agent: ApiClient,
  path: string,
  index: string,
  waitMs: number,
  options: { recurse?: boolean; signal?: AbortSignal } = {},
): Promise<{ pairs: LockPair[]; index: string }> {
  const reply = await agent.call("GET", path, {
    query: {
      consistent: "",
      ...(options.recurse ? { recurse: "" } : {}),
      ...(index === "" ? {} : { index, wait: `${Math.max(1, Math.round(waitMs))}ms` }),
    },
    accept: [404],
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return {
    pairs: reply.status === 404 ? [] : JSON.parse(reply.text) as LockPair[],
    index: reply.headers.get("X-Consul-Index") ?? "",
  };
}

export async function watchLock(
  agent: ApiClient,
  path: string,
  signal: AbortSignal,
  retriesMax: number,
  isHeld: (pairs: LockPair[]) => boolean,
  recurse = false,
): Promise<boolean> {
  let index = "";
  for (let failures = 0; !signal.aborted;) {
    try {
      const reply = await readPairs(agent, path, index, waitMaxMs, { recurse, signal });
      if (signal.aborted) return false;
      if (!isHeld(reply.pairs)) return true;
      index = reply.index;
      failures = 0;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (signal.aborted) return false;
      if (++failures > retriesMax) return true;
      await Bun.sleep(1_000);
    }
  }
  return false;
}
