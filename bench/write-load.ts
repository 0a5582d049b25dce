// Writes beside other work, and how long each took: at a fixed rate, counted from the moment when
// a write was due (a server that stands still makes all that follow late), or as fast as they go.

import type { TestNode } from "../test/e2e/node.ts";

export interface LoadOptions {
  node: TestNode;
  connections: number;
  /** Writes a second of all connections together; undefined: as many as go. */
  perSecond?: number;
  /** Keys that are overwritten in turn. */
  keyOf(n: number): string;
}

const body = "v".repeat(100);

export class WriteLoad {
  readonly #options: LoadOptions;
  readonly #running: Promise<void>[];
  #tookMs: number[] = [];
  #errors: string[] = [];
  #count = 0;
  #isStopped = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    const startMs = performance.now();
    this.#running = Array.from({ length: options.connections }, () => this.#write(startMs));
  }

  /** What was measured since the last time. */
  take(): { tookMs: number[]; errors: string[] } {
    const taken = { tookMs: this.#tookMs, errors: this.#errors };
    this.#tookMs = [];
    this.#errors = [];
    return taken;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#running);
  }

  async #write(startMs: number): Promise<void> {
    const { node, perSecond, keyOf } = this.#options;
    while (!this.#isStopped) {
      const n = this.#count++;
      let dueMs = performance.now();
      if (perSecond !== undefined) {
        dueMs = startMs + n * 1_000 / perSecond;
        const earlyMs = dueMs - performance.now();
        if (earlyMs > 0) await Bun.sleep(earlyMs);
      }
      const answer = await node.fetch(`/v1/kv/${keyOf(n)}`, { method: "PUT", body })
        .then((response) => response.text(), (error: Error) => error.message);
      if (answer !== "true") this.#errors.push(answer);
      this.#tookMs.push(performance.now() - dueMs);
    }
  }
}
