// The catalog as checkd sees it: pushes in one log entry per token, and the read of its own node.

import type { OutcomeInput, ReadReply } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { errorCodeName, toCuriaError } from "#shared/errors.ts";
import type { CatalogView } from "../core/model.ts";
import type { PushGroup, PushItem } from "../core/push.ts";
import { isTransient, type PushRefusal } from "../core/sync.ts";
import { checkRow, commandMessage, nodeRow, serviceRow } from "./rows.ts";

export interface Catalog {
  /** One answer for each item. Throws CuriaError when none of them was taken up. */
  push(group: PushGroup): Promise<(PushRefusal | null)[]>;
  read(node: string): Promise<CatalogView>;
}

const timeoutMs = 15_000;

export class StateCatalog implements Catalog {
  readonly #client: BusClient;
  readonly #node: string;
  readonly #agentToken: string;

  constructor(client: BusClient, node: string, agentToken: string) {
    this.#client = client;
    this.#node = node;
    this.#agentToken = agentToken;
  }

  async push({ token, items }: PushGroup): Promise<(PushRefusal | null)[]> {
    try {
      return await this.#apply(token, items);
    } catch (error) {
      const refusal = toCuriaError(error);
      if (isTransient(refusal.code)) throw refusal;
      // One bad item must not hold up the others.
      if (items.length === 1) return [{ code: refusal.code, text: refusal.message }];
      const answers: (PushRefusal | null)[] = [];
      for (const item of items) answers.push(...await this.push({ token, items: [item] }));
      return answers;
    }
  }

  async #apply(token: string, items: PushItem[]): Promise<(PushRefusal | null)[]> {
    const commands = items.map((item) => commandMessage(item.command, this.#node));
    const only = commands.length === 1 ? commands[0] : undefined;
    const command = only ?? { batch: { commands } };
    const outcome = await this.#client.of(State).apply(command, { token, timeoutMs });
    return only !== undefined ? [refusalOf(outcome)] : outcome.batch.map(refusalOf);
  }

  async read(node: string): Promise<CatalogView> {
    const reply = await readNode(this.#client, node, this.#agentToken);
    return {
      node: reply.nodes[0] === undefined ? null : nodeRow(reply.nodes[0]),
      services: reply.nodeServices.map(serviceRow),
      checks: reply.checks.map(checkRow),
    };
  }
}

/** A node with all that belongs to it. Any server may answer: what is old there is only pushed
 *  once more. */
export async function readNode(
  client: BusClient,
  node: string,
  token: string,
  signal?: AbortSignal,
): Promise<ReadReply> {
  return await client.of(State).read(
    { query: { node: { node, withChecks: true } } },
    { token, consistency: "stale", timeoutMs, ...(signal === undefined ? {} : { signal }) },
  );
}

function refusalOf(outcome: OutcomeInput): PushRefusal | null {
  if (!outcome.errorCode) return null;
  return { code: errorCodeName(outcome.errorCode), text: outcome.error ?? "" };
}
