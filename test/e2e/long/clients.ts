// Clients of a cluster under faults, whose calls are written down for the linearizability checker.
// Every value is written only once, so that an index compared is a value compared.

import { type Call, History, keysOf, type Op, type Result, type Step } from "../../sim/history.ts";
import { ABSENT } from "../../sim/kv.ts";
import type { TestNode } from "../node.ts";

/** After so long an answer is given up: the call may have taken effect or not. */
const callTimeoutMs = 8_000;
/** Nobody listened: every call has a connection of its own, so nothing was sent. */
const refusedCodes = new Set(["ECONNREFUSED", "ConnectionRefused"]);
/** Who is refused waits a moment: an outage must not use up the keys that tell what it did. */
const refusedPauseMs = 250;
/** Answered calls on the keys in use before there are new ones; the search for an order grows with them. */
const callsPerKey = 40;
/** Transactions join two of them. */
const openKeys = 6;

interface Seen {
  value: number;
  index: number;
}

interface KvRow {
  Value: string | null;
  ModifyIndex: number;
}

interface TxnAnswer {
  Results: { KV: KvRow }[] | null;
}

export class Clients {
  readonly history = new History();
  readonly prefix = `nemesis-${crypto.randomUUID()}/`;
  answered = 0;
  unanswered = 0;
  refused = 0;
  #lastValue = ABSENT;
  #isStopped = false;
  readonly #done: Promise<unknown>;

  constructor(nodes: readonly TestNode[], perNode: number) {
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

  /** Reads every key once more: what was acknowledged must be there, also where nobody came back. */
  async readAll(nodes: readonly TestNode[]): Promise<void> {
    const keys = [...new Set(this.history.calls.flatMap(keysOf))];
    for (let from = 0; from < keys.length; from += 16) {
      await Promise.all(
        keys.slice(from, from + 16).map(async (key, n) => {
          const node = nodes[n % nodes.length]!;
          const found = await this.#get(`last-${n}`, node, key, "?consistent");
          if (found === undefined) throw new Error(`${key} cannot be read in the end`);
        }),
      );
    }
  }

  /** A key and the one that goes with it. Old ones are left for new ones, so that none has too many
   *  calls. */
  #nextKeys(): [string, string] {
    const generation = Math.floor(this.answered / (callsPerKey * openKeys));
    const number = Math.floor(Math.random() * openKeys);
    return [`${generation}-${number}`, `${generation}-${number ^ 1}`];
  }

  async #run(client: string, node: TestNode): Promise<void> {
    const seen = new Map<string, Seen>();
    while (!this.#isStopped) {
      const [key, other] = this.#nextKeys();
      const chance = Math.random();
      const known = seen.get(key);
      if (chance < 0.45) {
        const found = await this.#get(client, node, key, chance < 0.2 ? "?consistent" : "");
        if (found) seen.set(key, found);
      } else if (chance < 0.6 && known !== undefined) {
        const op: Op = { kind: "cas", from: known.value, to: ++this.#lastValue };
        await this.#write(client, node, key, op, `?cas=${known.index}`);
      } else if (chance < 0.67) await this.#write(client, node, key, { kind: "delete" }, "");
      else if (chance < 0.75) await this.#lookAt(client, node, [key, other]);
      else if (chance < 0.85) await this.#transact(client, node, [key, other], seen);
      else await this.#write(client, node, key, { kind: "put", value: ++this.#lastValue }, "");
      await Bun.sleep(Math.random() * 30);
    }
  }

  /** What it was told, or undefined when nothing clear was. */
  async #call<Answer extends Result>(
    [client, node, key]: [string, TestNode, string],
    op: Op,
    path: string,
    init: RequestInit,
    read: (response: Response) => Promise<Answer>,
  ): Promise<Answer | undefined> {
    const call: Call = this.history.invoke(client, key, op, performance.now());
    try {
      const signal = AbortSignal.timeout(callTimeoutMs);
      const answer = await read(await node.fetch(path, { ...init, signal, keepalive: false }));
      call.returnMs = performance.now();
      call.result = answer;
      this.answered++;
      return answer;
    } catch (error) {
      if (refusedCodes.has((error as { code?: string }).code ?? "")) {
        this.history.forget(call);
        this.refused++;
      } else this.unanswered++;
      await Bun.sleep(Math.random() * 2 * refusedPauseMs);
      return undefined;
    }
  }

  async #get(
    client: string,
    node: TestNode,
    key: string,
    mode: string,
  ): Promise<Seen | undefined> {
    let index = 0;
    const path = `/v1/kv/${this.prefix}${key}${mode}`;
    const value = await this.#call([client, node, key], { kind: "get" }, path, {}, async (r) => {
      const text = await r.text();
      if (r.status === 404) return ABSENT;
      if (!r.ok) throw new Error(text);
      const [row] = JSON.parse(text) as KvRow[];
      index = row!.ModifyIndex;
      return valueOf(row!);
    });
    return value === undefined ? undefined : { value, index };
  }

  async #write(client: string, node: TestNode, key: string, op: Op, query: string): Promise<void> {
    const isDelete = op.kind === "delete";
    const body = op.kind === "put" ? op.value : op.kind === "cas" ? op.to : "";
    const init = isDelete ? { method: "DELETE" } : { method: "PUT", body: String(body) };
    const path = `/v1/kv/${this.prefix}${key}${query}`;
    await this.#call([client, node, key], op, path, init, async (response) => {
      const text = (await response.text()).trim();
      // A refusal may hide a write that was sent on before: its outcome stays open.
      if (!response.ok || (text !== "true" && text !== "false")) throw new Error(text);
      // DELETE says true whether there was something or not.
      return isDelete ? undefined : text === "true";
    });
  }

  /** Both keys at one moment. */
  async #lookAt(client: string, node: TestNode, keys: readonly string[]): Promise<void> {
    const steps = keys.map((key): Step => ({ kind: "read", key }));
    const query = Math.random() < 0.5 ? "?consistent" : "";
    await this.#txn(client, node, steps, new Map(), query);
  }

  /** Writes to both keys at once, where the first is as it was seen last. */
  async #transact(
    client: string,
    node: TestNode,
    [key, other]: [string, string],
    seen: ReadonlyMap<string, Seen>,
  ): Promise<void> {
    const known = seen.get(key);
    const steps: Step[] = [
      known === undefined
        ? { kind: "put", key, value: ++this.#lastValue }
        : { kind: "cas", key, from: known.value, to: ++this.#lastValue },
      { kind: "read", key: other },
      Math.random() < 0.3
        ? { kind: "delete", key: other }
        : { kind: "put", key: other, value: ++this.#lastValue },
    ];
    await this.#txn(client, node, steps, seen, "");
  }

  async #txn(
    client: string,
    node: TestNode,
    steps: readonly Step[],
    seen: ReadonlyMap<string, Seen>,
    query: string,
  ): Promise<void> {
    const operations = steps.map((step) => ({ KV: this.#operation(step, seen) }));
    const init = { method: "PUT", body: JSON.stringify(operations) };
    const op: Op = { kind: "txn", steps };
    await this.#call([client, node, steps[0]!.key], op, `/v1/txn${query}`, init, async (r) => {
      const text = await r.text();
      if (r.status === 409) return false;
      if (!r.ok) throw new Error(text);
      const results = (JSON.parse(text) as TxnAnswer).Results ?? [];
      // Deletions have no result.
      const told = steps.filter(({ kind }) => kind !== "delete");
      return told.flatMap(({ kind }, n) => kind === "read" ? [valueOf(results[n]!.KV)] : []);
    });
  }

  #operation(step: Step, seen: ReadonlyMap<string, Seen>): Record<string, unknown> {
    const Key = this.prefix + step.key;
    switch (step.kind) {
      case "read":
        return { Verb: "get-or-empty", Key };
      case "delete":
        return { Verb: "delete", Key };
      case "put":
        return { Verb: "set", Key, Value: btoa(String(step.value)) };
      case "cas": {
        const Index = seen.get(step.key)!.index;
        return { Verb: "cas", Key, Value: btoa(String(step.to)), Index };
      }
      default:
        return step satisfies never;
    }
  }
}

function valueOf({ Value }: KvRow): number {
  return Value ? Number(atob(Value)) : ABSENT;
}
