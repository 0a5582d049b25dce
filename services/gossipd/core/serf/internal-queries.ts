// Queries that every member answers by itself: keyring operations, name conflicts, a bare ping.
import type { KeyOperation, MemberStatus } from "../border.ts";
import { note, type Pool } from "../state.ts";
import { Reader, WireError } from "../wire/reader.ts";
import { encodeSerf, keyRequest, type KeyResponse, type Query, serfTypes } from "../wire/serf.ts";

export const internalPrefix = "_serf_";
export const conflictQuery = "_serf_conflict";

export const keyQueries: Record<KeyOperation, string> = {
  install: "_serf_install-key",
  use: "_serf_use-key",
  remove: "_serf_remove-key",
  list: "_serf_list-keys",
};

const statusNumbers: Record<MemberStatus, number> = { alive: 1, leaving: 2, left: 3, failed: 4 };
/** A key and its frame take at least so many bytes of the answer. */
const keyBytesMin = 25;

export function answerInternally(pool: Pool, query: Query): Uint8Array | undefined {
  if (query.Name === conflictQuery) return answerConflict(pool, query.Payload);
  if (query.Name === keyQueries.list) return answerList(pool, query);
  const operations = Object.keys(keyQueries) as KeyOperation[];
  const operation = operations.find((name) => keyQueries[name] === query.Name);
  return operation ? answerChange(pool, operation, query.Payload) : undefined;
}

function answerConflict(pool: Pool, payload: Uint8Array | null): Uint8Array | undefined {
  const name = new TextDecoder().decode(payload ?? new Uint8Array());
  if (name === pool.settings.name) return undefined;
  const entry = pool.roster.get(name);
  if (!entry) return Uint8Array.of(serfTypes.conflictResponse, 0xc0);
  const [protocolMin, protocolMax, protocolCur, delegateMin, delegateMax, delegateCur] =
    entry.versions;
  return encodeSerf({
    kind: "conflictResponse",
    body: {
      Addr: entry.address,
      DelegateCur: delegateCur ?? 0,
      DelegateMax: delegateMax ?? 0,
      DelegateMin: delegateMin ?? 0,
      Name: entry.name,
      Port: entry.port,
      ProtocolCur: protocolCur ?? 0,
      ProtocolMax: protocolMax ?? 0,
      ProtocolMin: protocolMin ?? 0,
      Status: statusNumbers[entry.status],
      Tags: new Map(entry.tags),
    },
  });
}

function keyAnswer(body: Partial<KeyResponse>): Uint8Array {
  const whole = { Keys: null, Message: "", PrimaryKey: "", Result: false, ...body };
  return encodeSerf({ kind: "keyResponse", body: whole });
}

function answerChange(
  pool: Pool,
  operation: Exclude<KeyOperation, never>,
  payload: Uint8Array | null,
): Uint8Array {
  const { keyring } = pool;
  if (!keyring?.primary) {
    return keyAnswer({ Message: "No keyring to modify (encryption not enabled)" });
  }
  const key = requestedKey(payload);
  if (!key || operation === "list") return keyAnswer({ Message: "Failed to decode key request" });
  const refusal = keyring[operation](key);
  if (refusal !== undefined) return keyAnswer({ Message: refusal });
  note(pool, "info", `keyring: ${operation} done`);
  pool.effects.push({ kind: "keyring-changed" });
  return keyAnswer({ Result: true });
}

function requestedKey(payload: Uint8Array | null): Uint8Array | undefined {
  if (payload?.[0] !== serfTypes.keyRequest) return undefined;
  try {
    return keyRequest.read(new Reader(payload, 1)).Key ?? undefined;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** As many keys as fit into one answer. */
function answerList(pool: Pool, query: Query): Uint8Array {
  const { keyring, settings } = pool;
  if (!keyring?.primary) {
    return keyAnswer({ Message: "Keyring is empty (encryption not enabled)" });
  }
  const keys = keyring.keys.map((key) => key.toBase64());
  const PrimaryKey = keys[0]!;
  const limit = settings.queryResponseBytesMax;
  let shown = Math.min(keys.length, Math.floor(limit / keyBytesMin));
  while (true) {
    const Message = shown < keys.length
      ? `truncated key list response, showing first ${shown} of ${keys.length} keys`
      : "";
    const answer = keyAnswer({ Keys: keys.slice(0, shown), Message, PrimaryKey, Result: true });
    const response = encodeSerf({
      kind: "queryResponse",
      body: { Flags: 0, From: settings.name, ID: query.ID, LTime: query.LTime, Payload: answer },
    });
    if (response.length <= limit || shown <= 1) return answer;
    shown--;
  }
}
