// The CA's rows in the replicated state. A row is the public JSON and the secret JSON together;
// secrets never leave in a subscription.

import { type CommandInput, DocumentVerb, type OutcomeInput } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { CuriaError, errorCodeName } from "#shared/errors.ts";

export interface Row<Body> {
  id: string;
  body: Body;
  createIndex: number;
  modifyIndex: number;
}

export interface RowsReply<Body> {
  rows: Row<Body>[];
  appliedIndex: number;
}

/** What the CA needs of the state. */
export type DocumentStore = Pick<Documents, "list" | "swap" | "write">;

export class Documents {
  readonly #client: BusClient;

  constructor(client: BusClient) {
    this.#client = client;
  }

  async list<Body>(kind: string): Promise<RowsReply<Body>> {
    const reply = await this.#client.of(State).read(
      { query: { documents: { kind } } },
      { consistency: "consistent" },
    );
    const rows = reply.documents.map((document) => ({
      id: document.id,
      body: {
        ...parse(document.bodyJson),
        ...parse(document.secretJson),
      } as Body,
      createIndex: document.createIndex,
      modifyIndex: document.modifyIndex,
    }));
    return { rows, appliedIndex: reply.meta?.appliedIndex ?? 0 };
  }

  /** Writes when the row is still of `index` (0: absent). Answers the index it was applied at, or
   *  undefined when somebody else was first. */
  async swap(
    kind: string,
    id: string,
    index: number,
    body: object,
    secret: object = {},
  ): Promise<number | undefined> {
    const outcome = await this.#apply({
      document: {
        verb: DocumentVerb.DOCUMENT_CAS,
        index,
        document: { kind, id, bodyJson: bytes(body), secretJson: bytes(secret) },
      },
    });
    return outcome.ok ? outcome.index ?? 0 : undefined;
  }

  /** Several rows in one log entry. */
  async write(commands: CommandInput[]): Promise<void> {
    const outcome = await this.#apply({ batch: { commands } });
    for (const part of outcome.batch ?? []) refuse(part);
  }

  async #apply(command: CommandInput): Promise<OutcomeInput> {
    const outcome = await this.#client.of(State).apply(command);
    refuse(outcome);
    return outcome;
  }
}

export function setCommand(
  kind: string,
  id: string,
  body: object,
  secret: object = {},
): CommandInput {
  return {
    document: {
      verb: DocumentVerb.DOCUMENT_SET,
      document: { kind, id, bodyJson: bytes(body), secretJson: bytes(secret) },
    },
  };
}

export function removeCommand(kind: string, id: string): CommandInput {
  return { document: { verb: DocumentVerb.DOCUMENT_DELETE, document: { kind, id } } };
}

function refuse(outcome: OutcomeInput): void {
  if (!outcome.errorCode) return;
  throw new CuriaError(errorCodeName(outcome.errorCode), outcome.error ?? "");
}

function parse(json: Uint8Array): object {
  return json.length === 0 ? {} : JSON.parse(new TextDecoder().decode(json)) as object;
}

function bytes(value: object): Uint8Array {
  return Object.keys(value).length === 0 ? new Uint8Array(0) : Buffer.from(JSON.stringify(value));
}
