// For tests: a store that is told commands and asked queries, one log index after another.

import { Command, LogRecord, Query } from "#proto/messages.js";
import type {
  CommandInput,
  NodeInput,
  Outcome,
  QueryInput,
  ReadReply,
  RegisterCommandInput,
  SessionInput,
} from "#proto/messages.js";
import { Store } from "./store.ts";
import type { ApplyEntry, ApplyResult } from "./store-types.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export const bytes = (text: string): Uint8Array => encoder.encode(text);
export const text = (raw: Uint8Array): string => decoder.decode(raw);

export interface Sender {
  readonly client: string;
  readonly sequence: number;
  readonly floor: number;
}

export function commandEntry(
  index: number,
  command: CommandInput,
  stampMs = index,
  sender?: Sender,
): ApplyEntry {
  const record = LogRecord.encode({
    ...sender,
    command: Command.encode(command as Command).finish(),
  });
  return { index, term: 1, kind: "command", stampMs, bytes: record.finish() };
}

export class FixtureStore {
  readonly store: Store;
  index: number;
  stampMs = 1_000;
  last: ApplyResult = { outcomes: [], changes: { groups: [], touched: new Map() } };

  constructor(path = ":memory:") {
    this.store = new Store(path);
    this.index = this.store.applied().index;
  }

  /** Applies as the next log entry. */
  run(command: CommandInput, sender?: Sender): Outcome {
    const entry = commandEntry(++this.index, Command.create(command), this.stampMs, sender);
    this.last = this.store.apply([entry]);
    return this.last.outcomes[0]!;
  }

  ask(query: QueryInput, knownIndex?: number): ReadReply {
    return this.store.read(Query.create(query), knownIndex);
  }

  indexOf(query: QueryInput): number {
    return this.ask(query).meta!.index;
  }

  set(key: string, value: string): Outcome {
    return this.run({ kv: { key: bytes(key), value: bytes(value) } });
  }

  get(key: string) {
    return this.ask({ kvGet: { key: bytes(key) } }).kv[0];
  }

  keys(prefix: string, separator = ""): string[] {
    return this.ask({ kvKeys: { prefix: bytes(prefix), separator: bytes(separator) } })
      .keys.map(text);
  }

  register(node: NodeInput, rest: Omit<RegisterCommandInput, "node"> = {}): Outcome {
    return this.run({
      register: { node: { address: "10.0.0.1", datacenter: "dc1", ...node }, ...rest },
    });
  }

  session(session: SessionInput): Outcome {
    return this.run({ session: { create: { lockDelayNs: "0", ...session } } });
  }
}
