// Clients of a cluster under faults, whose calls are written down for the linearizability checker.
// Every value is written only once, so that an index compared is a value compared.

import { type Call, History, type Op } from "../../sim/history.ts";
import { ABSENT } from "../../sim/kv.ts";
import type { TestNode } from "../node.ts";

/** After so long an answer is given up: the call may have taken effect or not. */
const callTimeoutMs = 8_000;
/** Calls on one key; the search for an order grows with them. */
const callsPerKey = 60;
const openKeys = 6;

interface Seen {
  value: number;
  index: number;
}

export class Clients {
  readonly history = new History();
  readonly prefix = `nemesis-${crypto.randomUUID()}/`;
  answered = 0;
  unanswered = 0;
  #lastValue = ABSENT;
  #invoked = 0;
  #isStopped = false;
  readonly #done: Promise<unknown>;

  constructor(nodes: TestNode[], perNode: number) {
    this.#done = Promise.all(
      nodes.flatMap((node) =>
        Array.from({ length: perNode }, (_, n) => this.#run(`${node.name}-${n}`, node))
      ),
    );
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  /** Old keys are left for new ones, so that no key has too many calls. */
  #nextKey(): string {
    const generation = Math.floor(this.#invoked++ / (callsPerKey * openKeys));
    return `${generation}-${Math.floor(Math.random() * openKeys)}`;
  }

  async #run(client: string, node: TestNode): Promise<void> {
    const seen = new Map<string, Seen>();
    while (!this.#isStopped) {
      const key = this.#nextKey();
      const chance = Math.random();
      const known = seen.get(key);
      if (chance < 0.45) {
        const found = await this.#get(client, node, key, chance < 0.2 ? "consistent" : "");
        if (found) seen.set(key, found);
      } else if (chance < 0.6 && known !== undefined) {
        const op: Op = { kind: "cas", from: known.value, to: ++this.#lastValue };
        await this.#write(client, node, key, op, `?cas=${known.index}`);
      } else if (chance < 0.67) await this.#write(client, node, key, { kind: "delete" }, "");
      else await this.#write(client, node, key, { kind: "put", value: ++this.#lastValue }, "");
      await Bun.sleep(Math.random() * 30);
    }
  }

  #fetch(node: TestNode, key: string, query: string, init: RequestInit = {}): Promise<Response> {
    const signal = AbortSignal.timeout(callTimeoutMs);
    return node.fetch(`/v1/kv/${this.prefix}${key}${query}`, { ...init, signal, keepalive: false });
  }

  async #get(
    client: string,
    node: TestNode,
    key: string,
    mode: string,
  ): Promise<Seen | undefined> {
    const call = this.history.invoke(client, key, { kind: "get" }, performance.now());
    try {
      const response = await this.#fetch(node, key, mode === "" ? "" : `?${mode}`);
      const text = await response.text();
      if (response.status === 404) return this.#read(call, { value: ABSENT, index: 0 });
      if (!response.ok) throw new Error(text);
      const [row] = JSON.parse(text) as { Value: string; ModifyIndex: number }[];
      const value = Number(Buffer.from(row!.Value, "base64").toString());
      return this.#read(call, { value, index: row!.ModifyIndex });
    } catch {
      this.unanswered++;
      return undefined;
    }
  }

  #read(call: Call, seen: Seen): Seen {
    call.returnMs = performance.now();
    call.result = seen.value;
    this.answered++;
    return seen;
  }

  async #write(client: string, node: TestNode, key: string, op: Op, query: string): Promise<void> {
    const call = this.history.invoke(client, key, op, performance.now());
    const isDelete = op.kind === "delete";
    const body = op.kind === "put" ? op.value : op.kind === "cas" ? op.to : "";
    try {
      const response = await this.#fetch(
        node,
        key,
        query,
        isDelete ? { method: "DELETE" } : { method: "PUT", body: String(body) },
      );
      const text = (await response.text()).trim();
      // A refusal may hide a write that was sent on before: its outcome stays open.
      if (!response.ok || (text !== "true" && text !== "false")) throw new Error(text);
      call.returnMs = performance.now();
      // DELETE says true whether there was something or not.
      call.result = isDelete ? undefined : text === "true";
      this.answered++;
    } catch {
      this.unanswered++;
    }
  }
}
