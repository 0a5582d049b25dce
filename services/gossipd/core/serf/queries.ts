// Queries: a question to all or some members; answers come back straight to the asker.
import type { Endpoint, QueryRequest } from "../border.ts";
import { type Ask, type AskPurpose, count, drop, type Pool, setTimer } from "../state.ts";
import { sendUser } from "../swim/gossip.ts";
import { WireError } from "../wire/reader.ts";
import {
  decodeFilter,
  encodeFilter,
  encodeSerf,
  type Query,
  queryFlags,
  type QueryResponse,
  type Relay,
} from "../wire/serf.ts";
import { isSearched } from "./expression.ts";
import { answerInternally, internalPrefix } from "./internal-queries.ts";
import { askEnded, askResponded } from "./asks.ts";
import { clockLines } from "./clock-lines.ts";

const noBytes = new Uint8Array();
const nsPerMs = 1_000_000;
const openQueriesMax = 1024;
/** Different queries of one Lamport time. */
const idsMax = 4096;
const timeoutMsMax = 24 * 3_600_000;

export function defaultTimeoutMs(pool: Pool): number {
  let aliveCount = 0;
  for (const entry of pool.roster.values()) if (entry.status === "alive") aliveCount++;
  const { gossipIntervalMs, queryTimeoutMult } = pool.settings;
  return gossipIntervalMs * queryTimeoutMult * Math.ceil(Math.log10(aliveCount + 1));
}

/** Returns why the question is refused. */
export function ask(pool: Pool, purpose: AskPurpose, request: QueryRequest): string | undefined {
  const { settings } = pool;
  const timeoutMs = request.timeoutMs || defaultTimeoutMs(pool);
  const body: Query = {
    Addr: settings.address,
    Filters: request.filters.length === 0 ? null : request.filters.map(encodeFilter),
    Flags: request.wantsAcks ? queryFlags.ack : 0,
    ID: pool.random.uint32() >>> 1,
    LTime: pool.queryClock.time,
    Name: request.name,
    Payload: request.payload,
    Port: settings.port,
    RelayFactor: request.relayFactor,
    SourceNode: settings.name,
    Timeout: Math.round(timeoutMs * nsPerMs),
  };
  const message = encodeSerf({ kind: "query", body });
  if (message.length > settings.queryBytesMax) {
    return `query exceeds limit of ${settings.queryBytesMax} bytes`;
  }
  pool.queryClock.increment();
  pool.asks.set(body.LTime, {
    purpose,
    id: body.ID,
    deadlineMs: pool.nowMs + timeoutMs,
    acks: new Set(),
    responses: new Map(),
    expectedCount: pool.nodes.filter((node) => node.state === "alive" || node.state === "suspect")
      .length,
  });
  setTimer(pool, { kind: "ask-ended", lTime: body.LTime }, timeoutMs);
  heardQuery(pool, body);
  pool.queryQueue.add({ message });
  return undefined;
}

/** Returns whether it is new and must be told on. */
export function heardQuery(pool: Pool, query: Query): boolean {
  pool.queryClock.witness(query.LTime);
  if (!isNewQuery(pool, query)) return false;
  count(pool, "queries");
  pool.seenQueryLTime = Math.max(pool.seenQueryLTime, query.LTime);
  clockLines(pool);
  const tellOn = (query.Flags & queryFlags.noBroadcast) === 0;
  if (!isMeant(pool, query)) return tellOn;
  const address = query.Addr ?? noBytes;
  if (address.length !== 4 && address.length !== 16) {
    drop(pool, "malformed");
    return tellOn;
  }
  if (query.Flags & queryFlags.ack) {
    sendResponse(pool, query, { address, port: query.Port }, queryFlags.ack, null);
  }
  if (query.Name.startsWith(internalPrefix)) {
    const payload = answerInternally(pool, query);
    if (payload) sendResponse(pool, query, { address, port: query.Port }, 0, payload);
  } else deliver(pool, query, { address, port: query.Port });
  return tellOn;
}

function isNewQuery(pool: Pool, query: Query): boolean {
  const slots = pool.queries.length;
  const isOld = query.LTime < pool.queryMinLTime ||
    (pool.queryClock.time > slots && query.LTime < pool.queryClock.time - slots);
  if (isOld) {
    drop(pool, "too-old");
    return false;
  }
  const at = query.LTime % slots;
  const slot = pool.queries[at];
  if (slot?.lTime !== query.LTime) {
    pool.queries[at] = { lTime: query.LTime, ids: new Set([query.ID]) };
    return true;
  }
  if (slot.ids.has(query.ID)) return false;
  if (slot.ids.size >= idsMax) {
    drop(pool, "oversized");
    return false;
  }
  slot.ids.add(query.ID);
  return true;
}

function isMeant(pool: Pool, query: Query): boolean {
  try {
    return (query.Filters ?? []).every((bytes) => {
      const filter = decodeFilter(bytes ?? noBytes);
      if (filter.kind === "node") return filter.names.includes(pool.settings.name);
      return isSearched(filter.expression, pool.tags.get(filter.tag) ?? "");
    });
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    drop(pool, "malformed");
    return false;
  }
}

function deliver(pool: Pool, query: Query, to: Endpoint): void {
  if (pool.openQueries.size >= openQueriesMax) return drop(pool, "unexpected");
  const id = ++pool.lastQuery;
  const timeoutMs = Math.max(0, Math.min(timeoutMsMax, query.Timeout / nsPerMs));
  pool.openQueries.set(id, {
    id: query.ID,
    lTime: query.LTime,
    to,
    sourceNode: query.SourceNode,
    relayFactor: query.RelayFactor,
    deadlineMs: pool.nowMs + timeoutMs,
  });
  setTimer(pool, { kind: "query-ended", query: id }, timeoutMs);
  pool.effects.push({
    kind: "query",
    query: id,
    name: query.Name,
    payload: query.Payload ?? noBytes,
    from: query.SourceNode,
    lTime: query.LTime,
    timeoutMs,
  });
}

/** The application's answer; returns why it cannot be sent. One answer is all that may be sent. */
export function answerQuery(pool: Pool, id: number, payload: Uint8Array): string | undefined {
  const open = pool.openQueries.get(id);
  if (!open) return "response is past the deadline or was already sent";
  const query = {
    ID: open.id,
    LTime: open.lTime,
    SourceNode: open.sourceNode,
    RelayFactor: open.relayFactor,
  };
  const refusal = sendResponse(pool, query, open.to, 0, payload);
  if (refusal === undefined) pool.openQueries.delete(id);
  return refusal;
}

function sendResponse(
  pool: Pool,
  query: Pick<Query, "ID" | "LTime" | "SourceNode" | "RelayFactor">,
  to: Endpoint,
  flags: number,
  payload: Uint8Array | null,
): string | undefined {
  const body: QueryResponse = {
    Flags: flags,
    From: pool.settings.name,
    ID: query.ID,
    LTime: query.LTime,
    Payload: payload,
  };
  const message = encodeSerf({ kind: "queryResponse", body });
  const limit = pool.settings.queryResponseBytesMax;
  if (message.length > limit) return `response exceeds limit of ${limit} bytes`;
  sendUser(pool, to, message);
  sendRelayed(pool, query, to, message);
  return undefined;
}

/** Copies by way of other members, in case the straight way is broken. */
function sendRelayed(
  pool: Pool,
  query: Pick<Query, "SourceNode" | "RelayFactor">,
  to: Endpoint,
  inner: Uint8Array,
): void {
  const wanted = query.RelayFactor;
  if (wanted === 0 || pool.roster.size < wanted + 1) return;
  const body: Relay = {
    address: to.address,
    port: to.port,
    zone: "",
    name: query.SourceNode,
    inner,
  };
  const message = encodeSerf({ kind: "relay", body });
  if (message.length > pool.settings.queryResponseBytesMax) return;
  const able = [...pool.roster.values()].filter((entry) =>
    entry.status === "alive" && entry.name !== pool.settings.name && entry.versions[1]! >= 5
  );
  for (const { address, port } of pool.random.shuffle(able).slice(0, wanted)) {
    sendUser(pool, { address, port }, message);
  }
}

export function heardRelay(pool: Pool, relay: Relay): void {
  const { address, port, inner } = relay;
  if (address === null || (address.length !== 4 && address.length !== 16) || port === 0) {
    return drop(pool, "malformed");
  }
  sendUser(pool, { address, port }, inner);
}

/** Each member's acknowledgement and answer count once: relays make duplicates. */
export function heardResponse(pool: Pool, response: QueryResponse): void {
  const asked: Ask | undefined = pool.asks.get(response.LTime);
  if (!asked || asked.id !== response.ID) return drop(pool, "unexpected");
  if (response.Flags & queryFlags.ack) {
    if (asked.acks.has(response.From)) return;
    asked.acks.add(response.From);
    if (asked.purpose.kind !== "application") return;
    pool.effects.push({ kind: "query-acked", ask: asked.purpose.ask, from: response.From });
    return;
  }
  if (asked.responses.has(response.From)) return;
  const payload = response.Payload ?? noBytes;
  asked.responses.set(response.From, payload);
  const isComplete = askResponded(pool, asked, response.From, payload);
  if (isComplete) endAsk(pool, response.LTime);
}

export function endAsk(pool: Pool, lTime: number): void {
  const asked = pool.asks.get(lTime);
  pool.asks.delete(lTime);
  if (asked) askEnded(pool, asked);
}
