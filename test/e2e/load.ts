// Writers under faults: what was acknowledged must be there in the end, and only once.

import { expect } from "bun:test";
import { type TestNode, until } from "./node.ts";

/** Writers that each make one new key after the other, with cas=0: a write that was applied twice
 *  would answer "false" the second time, a lost one is missing in the end. */
export class Load {
  readonly prefix = `load-${crypto.randomUUID()}/`;
  readonly written: string[] = [];
  /** Answers that were neither yes nor an error. */
  readonly wrong: string[] = [];
  /** The longest time between two acknowledged writes. */
  gapMs = 0;
  readonly #writers: Promise<void>[];
  #lastMs = performance.now();
  #isStopped = false;

  constructor(nodes: TestNode[], writers: number) {
    this.#writers = Array.from(
      { length: writers },
      (_, n) => this.#write(nodes[n % nodes.length]!, `${this.prefix}${n}`),
    );
  }

  async #write(node: TestNode, name: string): Promise<void> {
    for (let n = 0; !this.#isStopped; n++) {
      const key = `${name}-${n}`;
      const answer = await node.fetch(`/v1/kv/${key}?cas=0`, { method: "PUT", body: "x" })
        .then(async (response) => response.ok ? await response.text() : undefined)
        .catch(() => undefined);
      if (answer === "true") this.#acknowledged(key);
      // No answer: its outcome is open, and the key is not used again.
      else if (answer === undefined) await Bun.sleep(20);
      else this.wrong.push(`${key}: ${answer}`);
    }
  }

  #acknowledged(key: string): void {
    this.written.push(key);
    const nowMs = performance.now();
    this.gapMs = Math.max(this.gapMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
  }

  /** Waits for this many more acknowledged writes. */
  async more(count: number): Promise<void> {
    const before = this.written.length;
    await until("writes are acknowledged", 15_000, () => this.written.length >= before + count);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#writers);
    expect(this.wrong).toEqual([]);
  }

  /** Fails with the acknowledged keys that the node does not have. */
  async expectAll(node: TestNode): Promise<void> {
    const keys = new Set(await node.json<string[]>(`/v1/kv/${this.prefix}?keys&consistent`));
    expect(this.written.filter((key) => !keys.has(key))).toEqual([]);
  }
}
