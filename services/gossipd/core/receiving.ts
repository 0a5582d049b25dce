// What comes in, by its kind: packets' messages, a stream's one message, and Serf's inside of both.
import type { Endpoint } from "./border.ts";
import { heardEvent } from "./serf/events.ts";
import { heardQuery, heardRelay, heardResponse } from "./serf/queries.ts";
import { heardJoin, heardLeave } from "./serf/roster.ts";
import { count, drop, type Pool } from "./state.ts";
import type { TransmitQueue } from "./swim/broadcasts.ts";
import { heardAck, heardIndirectPing, heardNack, heardPing } from "./swim/probe.ts";
import { receivedExchange, receivedPing } from "./swim/push-pull.ts";
import { heardAlive, heardDead, heardSuspect } from "./swim/rumours.ts";
import { decodeMessage, decodeStreamMessage } from "./wire/memberlist.ts";
import { WireError } from "./wire/reader.ts";
import { decodeSerf } from "./wire/serf.ts";

export function receivePacket(pool: Pool, from: Endpoint, messages: readonly Uint8Array[]): void {
  for (const bytes of messages) {
    try {
      receiveMessage(pool, from, bytes);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      drop(pool, "malformed");
    }
  }
}

function receiveMessage(pool: Pool, from: Endpoint, bytes: Uint8Array): void {
  const message = decodeMessage(bytes);
  count(pool, `received ${message.kind}`);
  switch (message.kind) {
    case "ping":
      return heardPing(pool, message.body, from);
    case "indirectPing":
      return heardIndirectPing(pool, message.body, from);
    case "ackResp":
      return heardAck(pool, message.body);
    case "nackResp":
      return heardNack(pool, message.body.SeqNo);
    case "alive":
      return heardAlive(pool, message.body, "others");
    case "suspect":
      return heardSuspect(pool, message.body);
    case "dead":
      return heardDead(pool, message.body);
    case "user":
      return receiveSerf(pool, message.body);
    default:
      message satisfies never;
  }
}

/** A peer opened a stream. */
export function receiveStream(pool: Pool, stream: number, bytes: Uint8Array): void {
  const message = decodeStreamMessage(bytes);
  switch (message.kind) {
    case "ping":
      return receivedPing(pool, stream, message.body);
    case "pushPull":
      return receivedExchange(pool, stream, message.body);
    case "user":
      // What did not fit into a packet; nothing is answered.
      pool.effects.push({ kind: "close-stream", stream });
      return receiveSerf(pool, message.body);
    default:
      drop(pool, "unexpected");
      pool.effects.push({ kind: "close-stream", stream });
  }
}

/** Between two prunings a queue may grow so far. */
const queueLengthMax = 65_536;

function tellOn(pool: Pool, queue: TransmitQueue, message: Uint8Array): void {
  if (queue.length < queueLengthMax) queue.add({ message });
  else drop(pool, "oversized");
}

/** What is news is told on exactly as it came. */
function receiveSerf(pool: Pool, bytes: Uint8Array): void {
  const message = decodeSerf(bytes);
  switch (message.kind) {
    case "leave":
      if (heardLeave(pool, message.body)) tellOn(pool, pool.intentQueue, bytes);
      return;
    case "join":
      if (heardJoin(pool, message.body)) tellOn(pool, pool.intentQueue, bytes);
      return;
    case "userEvent":
      if (heardEvent(pool, message.body)) tellOn(pool, pool.eventQueue, bytes);
      return;
    case "query":
      if (heardQuery(pool, message.body)) tellOn(pool, pool.queryQueue, bytes);
      return;
    case "queryResponse":
      return heardResponse(pool, message.body);
    case "relay":
      return heardRelay(pool, message.body);
    default:
      drop(pool, "unexpected");
  }
}
