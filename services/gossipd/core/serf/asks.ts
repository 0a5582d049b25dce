// What becomes of the answers to our own queries: handed to the application, summed up for a key
// operation, or counted as votes.
import { sameBytes } from "../wire/packet.ts";
import type { KeysOutcome } from "../border.ts";
import { type Ask, note, type Pool } from "../state.ts";
import { WireError } from "../wire/reader.ts";
import { decodeSerf, type KeyResponse } from "../wire/serf.ts";

/** Returns true when nothing more needs to be waited for. */
export function askResponded(pool: Pool, ask: Ask, from: string, payload: Uint8Array): boolean {
  switch (ask.purpose.kind) {
    case "application":
      pool.effects.push({ kind: "query-responded", ask: ask.purpose.ask, from, payload });
      return false;
    case "keys":
      return ask.responses.size >= ask.expectedCount;
    case "conflict":
      return false;
    default:
      return ask.purpose satisfies never;
  }
}

export function askEnded(pool: Pool, ask: Ask): void {
  switch (ask.purpose.kind) {
    case "application":
      pool.effects.push({ kind: "query-ended", ask: ask.purpose.ask });
      return;
    case "keys":
      pool.effects.push({ kind: "keys-answered", ask: ask.purpose.ask, outcome: keysOutcome(ask) });
      return;
    case "conflict":
      return countVotes(pool, ask);
    default:
      ask.purpose satisfies never;
  }
}

function keysOutcome(ask: Ask): KeysOutcome {
  const outcome: KeysOutcome = {
    nodesCount: ask.expectedCount,
    answersCount: ask.responses.size,
    errorsCount: 0,
    messages: new Map(),
    keys: new Map(),
    primaryKeys: new Map(),
  };
  const add = (counts: Map<string, number>, key: string) =>
    counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const [from, payload] of ask.responses) {
    const response = keyResponseOf(payload);
    if (!response?.Result) outcome.errorsCount++;
    const message = response ? response.Message : "Failed to decode key response";
    if (message !== "") outcome.messages.set(from, message);
    for (const key of response?.Keys ?? []) add(outcome.keys, key);
    if (response?.PrimaryKey) add(outcome.primaryKeys, response.PrimaryKey);
  }
  return outcome;
}

function keyResponseOf(payload: Uint8Array): KeyResponse | undefined {
  try {
    const message = decodeSerf(payload);
    return message.kind === "keyResponse" ? message.body : undefined;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** Each member said at what address it knows our name. The minority must go. */
function countVotes(pool: Pool, ask: Ask): void {
  let answers = 0;
  let forUs = 0;
  for (const payload of ask.responses.values()) {
    const vote = voteOf(payload);
    if (!vote) continue;
    answers++;
    const { address, port } = pool.settings;
    if (vote.Port === port && sameBytes(vote.Addr, address)) forUs++;
  }
  const needed = Math.floor(answers / 2) + 1;
  if (forUs >= needed) {
    note(pool, "info", `name conflict: ${forUs} of ${answers} members side with us`);
    return;
  }
  note(pool, "warn", `name conflict: only ${forUs} of ${answers} members side with us`);
  pool.effects.push({ kind: "conflict-lost" });
}

function voteOf(payload: Uint8Array) {
  try {
    const message = decodeSerf(payload);
    return message.kind === "conflictResponse" && message.body.Name !== ""
      ? message.body
      : undefined;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}
