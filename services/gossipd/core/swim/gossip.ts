// Sending: what goes along with each packet, and the regular retelling to a few random nodes.
import type { Endpoint } from "../border.ts";
import { type Pool, setTimer } from "../state.ts";
import { encodeMessage, frameUser, type Message } from "../wire/memberlist.ts";
import { retransmitLimit, type TransmitQueue } from "./broadcasts.ts";
import { randomNodes, takesCrc } from "./nodes.ts";

const compoundHeadBytes = 2;
const partOverheadBytes = 2;
const userFrameBytes = 1;

/** Sends one message with as much news as fits beside it. */
export function sendWithNews(pool: Pool, to: Endpoint, message: Message): void {
  const bytes = encodeMessage(message);
  const { packetBytesMax, envelopeOverheadBytes } = pool.settings;
  const room = packetBytesMax - bytes.length - compoundHeadBytes - envelopeOverheadBytes;
  const messages = [bytes, ...takeNews(pool, room)];
  pool.effects.push({ kind: "send-packet", to, messages, crc: false });
}

/** Sends a Serf message straight to one address, alone. */
export function sendUser(pool: Pool, to: Endpoint, serfMessage: Uint8Array): void {
  pool.effects.push({ kind: "send-packet", to, messages: [frameUser(serfMessage)], crc: false });
}

export function gossipTick(pool: Pool): void {
  const { settings } = pool;
  setTimer(pool, { kind: "gossip" }, settings.gossipIntervalMs);
  const { broadcasts, intentQueue, queryQueue, eventQueue } = pool;
  if (broadcasts.length + intentQueue.length + queryQueue.length + eventQueue.length === 0) return;
  const targets = randomNodes(pool, settings.gossipNodes, (node) => {
    if (node.name === settings.name || node.state === "left") return false;
    return node.state !== "dead" || pool.nowMs - node.changedMs <= settings.gossipToTheDeadMs;
  });
  const room = settings.packetBytesMax - compoundHeadBytes - settings.envelopeOverheadBytes;
  for (const node of targets) {
    const messages = takeNews(pool, room);
    if (messages.length === 0) return;
    const to = { address: node.address, port: node.port };
    pool.effects.push({ kind: "send-packet", to, messages, crc: takesCrc(node) });
  }
}

/** memberlist's news first, then intents, queries and events, framed as user messages. */
function takeNews(pool: Pool, bytesMax: number): Uint8Array[] {
  const { settings } = pool;
  const finished = pool.told;
  const limit = retransmitLimit(settings.retransmitMult, pool.nodes.length);
  const messages = pool.broadcasts.take(partOverheadBytes, bytesMax, limit, finished);
  let room = bytesMax;
  for (const message of messages) room -= message.length + partOverheadBytes;
  const overhead = partOverheadBytes + userFrameBytes;
  const serfLimit = retransmitLimit(settings.retransmitMult, pool.roster.size);
  for (const queue of [pool.intentQueue, pool.queryQueue, pool.eventQueue]) {
    if (room <= overhead) break;
    for (const message of queue.take(overhead, room, serfLimit, finished)) {
      room -= message.length + overhead;
      messages.push(frameUser(message));
    }
  }
  return messages;
}

/** Keeps Serf's queues bounded when more comes in than can be told. */
export function checkQueues(pool: Pool): void {
  const { queueCheckIntervalMs, queueDepthMin, queueDepthMax } = pool.settings;
  setTimer(pool, { kind: "queue-check" }, queueCheckIntervalMs);
  const lengthMax = queueDepthMin > 0
    ? Math.max(queueDepthMin, 2 * pool.roster.size)
    : queueDepthMax;
  const queues: TransmitQueue[] = [pool.intentQueue, pool.queryQueue, pool.eventQueue];
  for (const queue of queues) queue.prune(lengthMax, pool.told);
}
