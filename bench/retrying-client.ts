// A client as users write them: it has the addresses of several servers, and asks the next one
// when an answer does not come. Notes what each write cost and which were acknowledged.

import type { TestNode } from "../test/e2e/node.ts";

export interface Acknowledged {
  key: string;
  /** The server that took it. */
  node: string;
  sentMs: number;
  doneMs: number;
  /** Attempts that were refused or cut off before. */
  retries: number;
}

const RETRY_MS = 5;
/** A server that hangs must not hold the client. */
const ATTEMPT_TIMEOUT_MS = 2_000;
/** A write that is not in by then has failed in the eyes of its caller. */
const WRITE_TIMEOUT_MS = 10_000;

export class RetryingClient {
  readonly acknowledged: Acknowledged[] = [];
  /** Writes that no server took in time, with the last reason. */
  readonly failed: string[] = [];
  /** Why attempts had to be repeated. */
  readonly refusals: string[] = [];
  readonly #name: string;
  #nodes: readonly TestNode[];
  #next: number;
  #writes = 0;
  #isStopped = false;
  #running: Promise<void> | undefined;

  constructor(name: string, nodes: readonly TestNode[], first = 0) {
    this.#name = name;
    this.#nodes = nodes;
    this.#next = first;
  }

  /** Writes one key after the other until stopped. */
  start(): this {
    this.#running = (async () => {
      while (!this.#isStopped) await this.write();
    })();
    return this;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  set nodes(nodes: readonly TestNode[]) {
    this.#nodes = nodes;
  }

  /** Makes one new key, on whichever server takes it. */
  async write(): Promise<Acknowledged | undefined> {
    const key = `${this.#name}/${++this.#writes}`;
    const sentMs = performance.now();
    let reason = "";
    for (let retries = 0; performance.now() < sentMs + WRITE_TIMEOUT_MS; retries++) {
      const node = this.#nodes[this.#next % this.#nodes.length]!;
      reason = await attempt(node, key);
      if (reason === "") {
        const done = { key, node: node.name, sentMs, doneMs: performance.now(), retries };
        this.acknowledged.push(done);
        return done;
      }
      const afterMs = Math.round(performance.now() - sentMs);
      this.refusals.push(`${node.name}: ${reason} after ${afterMs} ms`);
      this.#next++;
      await Bun.sleep(RETRY_MS);
    }
    this.failed.push(`${key}: ${reason}`);
    return undefined;
  }

  /** The acknowledged keys that the server has not. */
  async lost(node: TestNode): Promise<string[]> {
    const keys = new Set(await node.json<string[]>(`/v1/kv/${this.#name}/?keys&consistent`));
    return this.acknowledged.map(({ key }) => key).filter((key) => !keys.has(key));
  }
}

/** "" when the write was acknowledged, else why not. */
async function attempt(node: TestNode, key: string): Promise<string> {
  try {
    const signal = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
    const response = await node.fetch(`/v1/kv/${key}`, { method: "PUT", body: "x", signal });
    const text = await response.text();
    return response.ok && text === "true" ? "" : `${response.status} ${text}`;
  } catch (error) {
    return (error as { code?: string; message: string }).code ?? String(error);
  }
}

/** The longest time in which no write of any of the clients was acknowledged, between two that
 *  were. */
export function longestGapMs(clients: readonly RetryingClient[], fromMs: number): number {
  const times = clients.flatMap(({ acknowledged }) => acknowledged.map(({ doneMs }) => doneMs))
    .filter((doneMs) => doneMs >= fromMs).sort((a, b) => a - b);
  let longestMs = 0, lastMs = fromMs;
  for (const doneMs of times) {
    longestMs = Math.max(longestMs, doneMs - lastMs);
    lastMs = doneMs;
  }
  return longestMs;
}

/** The slowest write that was acknowledged since then, with all its attempts. */
export function slowestWrite(clients: readonly RetryingClient[], fromMs: number): Acknowledged {
  const writes = clients.flatMap(({ acknowledged }) => acknowledged)
    .filter(({ doneMs }) => doneMs >= fromMs);
  const tookMs = ({ sentMs, doneMs }: Acknowledged) => doneMs - sentMs;
  return writes.reduce((a, b) => tookMs(a) >= tookMs(b) ? a : b);
}
