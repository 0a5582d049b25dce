// One round of failure detection: a direct ping, then helpers and a TCP ping, then a verdict (SWIM
// section 4.1, Lifeguard's health score and nacks).
import type { Endpoint } from "../border.ts";
import { decodeCoordinate, encodeCoordinate } from "../serf/coordinate.ts";
import { count, drop, type Node, note, type Pool, type ProbeRound, setTimer } from "../state.ts";
import {
  type AckResp,
  encodeMessage,
  encodeStreamMessage,
  type IndirectPing,
  type Ping,
} from "../wire/memberlist.ts";
import { WireError } from "../wire/reader.ts";
import { sendWithNews } from "./gossip.ts";
import { isGone, randomNodes, reshuffle, takesCrc } from "./nodes.ts";
import { changeAwareness, heardSuspect } from "./rumours.ts";

export function probeTick(pool: Pool): void {
  setTimer(pool, { kind: "probe" }, pool.settings.probeIntervalMs);
  if (pool.probe) pool.probeDue = true;
  else startRound(pool);
}

function startRound(pool: Pool): void {
  const node = nextNode(pool);
  if (!node) return;
  const { settings } = pool;
  const seqNo = nextSeqNo(pool);
  const intervalMs = settings.probeIntervalMs * (pool.awareness + 1);
  pool.probe = {
    seqNo,
    node: node.name,
    sentMs: pool.nowMs,
    deadlineMs: pool.nowMs + intervalMs,
    helpersAsked: false,
    expectedNacks: 0,
    nacks: 0,
    stream: undefined,
    streamAcked: false,
    stalled: false,
    extended: false,
  };
  count(pool, "probes");
  sendProbe(pool, node, seqNo);
  setTimer(pool, { kind: "probe-timeout", seqNo }, settings.probeTimeoutMs);
  setTimer(pool, { kind: "probe-end", seqNo }, intervalMs);
}

function nextNode(pool: Pool): Node | undefined {
  for (let tries = pool.nodes.length + 1; tries > 0; tries--) {
    if (pool.probeAt >= pool.nodes.length) reshuffle(pool);
    const node = pool.nodes[pool.probeAt++];
    if (node && node.name !== pool.settings.name && !isGone(node)) return node;
  }
  return undefined;
}

function nextSeqNo(pool: Pool): number {
  pool.lastSeqNo = (pool.lastSeqNo + 1) >>> 0;
  return pool.lastSeqNo;
}

function pingOf(pool: Pool, node: string, seqNo: number): Ping {
  const { name, address, port } = pool.settings;
  return { Node: node, SeqNo: seqNo, SourceAddr: address, SourceNode: name, SourcePort: port };
}

/** A suspect is told with the ping, so that it can refute at once. */
function sendProbe(pool: Pool, node: Node, seqNo: number): void {
  const body = pingOf(pool, node.name, seqNo);
  const to = { address: node.address, port: node.port };
  if (node.state !== "suspect" || !pool.settings.buddy) {
    return sendWithNews(pool, to, { kind: "ping", body });
  }
  const { name } = pool.settings;
  const suspect = { From: name, Incarnation: node.incarnation, Node: node.name };
  const messages = [
    encodeMessage({ kind: "ping", body }),
    encodeMessage({ kind: "suspect", body: suspect }),
  ];
  pool.effects.push({ kind: "send-packet", to, messages, crc: takesCrc(node) });
}

export function probeTimedOut(pool: Pool, seqNo: number, lateMs: number): void {
  const round = pool.probe;
  if (round?.seqNo !== seqNo || round.helpersAsked) return;
  if (lateMs > pool.settings.stallMs) round.stalled = true;
  const node = pool.byName.get(round.node);
  if (!node) return;
  round.helpersAsked = true;
  const { settings } = pool;
  const helpers = randomNodes(
    pool,
    settings.indirectChecks,
    (other) => other.name !== settings.name && other.name !== node.name && other.state === "alive",
  );
  for (const helper of helpers) {
    const nack = settings.nacks && helper.versions[1]! >= 4;
    if (nack) round.expectedNacks++;
    const body: IndirectPing = {
      Nack: nack,
      Port: node.port,
      Target: node.address,
      ...pingOf(pool, node.name, seqNo),
    };
    const to = { address: helper.address, port: helper.port };
    sendWithNews(pool, to, { kind: "indirectPing", body });
  }
  if (settings.tcpPings && node.versions[1]! >= 3) openPing(pool, round, node);
}

function openPing(pool: Pool, round: ProbeRound, node: Node): void {
  const stream = ++pool.lastStream;
  round.stream = stream;
  pool.streams.set(stream, { kind: "ping", seqNo: round.seqNo });
  pool.effects.push({
    kind: "open-stream",
    stream,
    to: { address: node.address, port: node.port },
    purpose: "ping",
    message: encodeStreamMessage({ kind: "ping", body: pingOf(pool, node.name, round.seqNo) }),
    timeoutMs: Math.max(1, round.deadlineMs - pool.nowMs),
  });
}

/** The verdict. After a stall the answers may still wait in our own queue: one more turn. */
export function probeEnded(pool: Pool, seqNo: number, lateMs: number): void {
  const round = pool.probe;
  if (round?.seqNo !== seqNo) return;
  if (lateMs > pool.settings.stallMs && !round.extended) {
    round.stalled = true;
    round.extended = true;
    setTimer(pool, { kind: "probe-end", seqNo }, pool.settings.probeTimeoutMs);
    return;
  }
  if (round.streamAcked) {
    note(pool, "warn", `${round.node} answers over TCP but not over UDP`);
    return finishRound(pool, -1);
  }
  count(pool, "probe failures");
  if (round.stalled) return finishRound(pool, 1);
  const missed = round.expectedNacks - round.nacks;
  const accused = pool.byName.get(round.node);
  finishRound(pool, round.expectedNacks > 0 ? missed : 1);
  if (!accused) return;
  const { name } = pool.settings;
  heardSuspect(pool, { From: name, Incarnation: accused.incarnation, Node: accused.name });
}

function finishRound(pool: Pool, awarenessBy: number): void {
  pool.probe = undefined;
  changeAwareness(pool, awarenessBy);
  if (!pool.probeDue) return;
  pool.probeDue = false;
  startRound(pool);
}

export function heardPing(pool: Pool, ping: Ping, from: Endpoint): void {
  if (ping.Node !== "" && ping.Node !== pool.settings.name) return drop(pool, "wrong-node");
  const Payload = pool.settings.coordinates ? encodeCoordinate(pool.coordinates.own) : null;
  const body: AckResp = { Payload, SeqNo: ping.SeqNo };
  sendWithNews(pool, replyTo(ping, from), { kind: "ackResp", body });
}

/** A prober behind address translation says where it can be reached. */
function replyTo(ping: Pick<Ping, "SourceAddr" | "SourcePort">, from: Endpoint): Endpoint {
  const { SourceAddr, SourcePort } = ping;
  if (SourceAddr === null || SourcePort === 0) return from;
  if (SourceAddr.length !== 4 && SourceAddr.length !== 16) return from;
  return { address: SourceAddr, port: SourcePort };
}

/** More requests at once are a flood: the asker has other helpers. */
const relayedProbesMax = 4_096;

export function heardIndirectPing(pool: Pool, request: IndirectPing, from: Endpoint): void {
  const { Target } = request;
  if (Target === null || (Target.length !== 4 && Target.length !== 16)) {
    return drop(pool, "malformed");
  }
  if (pool.relayedProbes.size >= relayedProbesMax) return drop(pool, "unexpected");
  const seqNo = nextSeqNo(pool);
  pool.relayedProbes.set(seqNo, {
    requester: replyTo(request, from),
    requesterSeqNo: request.SeqNo,
    acked: !request.Nack,
  });
  const port = request.Port === 0 ? pool.settings.port : request.Port;
  const body = pingOf(pool, request.Node, seqNo);
  sendWithNews(pool, { address: Target, port }, { kind: "ping", body });
  setTimer(pool, { kind: "relayed-probe-timeout", seqNo }, pool.settings.probeTimeoutMs);
}

export function relayedProbeTimedOut(pool: Pool, seqNo: number): void {
  const relayed = pool.relayedProbes.get(seqNo);
  pool.relayedProbes.delete(seqNo);
  if (!relayed || relayed.acked) return;
  const body = { SeqNo: relayed.requesterSeqNo };
  sendWithNews(pool, relayed.requester, { kind: "nackResp", body });
}

export function heardAck(pool: Pool, ack: AckResp): void {
  const relayed = pool.relayedProbes.get(ack.SeqNo);
  if (relayed) {
    pool.relayedProbes.delete(ack.SeqNo);
    const body = { Payload: null, SeqNo: relayed.requesterSeqNo };
    return sendWithNews(pool, relayed.requester, { kind: "ackResp", body });
  }
  const round = pool.probe;
  if (round?.seqNo !== ack.SeqNo) return drop(pool, "unexpected");
  const rttMs = pool.nowMs - round.sentMs;
  const learns = pool.settings.coordinates && !round.helpersAsked;
  if (learns && ack.Payload) learnCoordinate(pool, round.node, ack.Payload, rttMs);
  finishRound(pool, -1);
}

export function heardNack(pool: Pool, seqNo: number): void {
  if (pool.probe?.seqNo === seqNo) pool.probe.nacks++;
  else drop(pool, "unexpected");
}

export function streamPingAnswered(pool: Pool, seqNo: number, ackedSeqNo: number): void {
  const round = pool.probe;
  if (round?.seqNo === seqNo && ackedSeqNo === seqNo) round.streamAcked = true;
}

function learnCoordinate(pool: Pool, node: string, payload: Uint8Array, rttMs: number): void {
  if (payload.length === 0) return;
  try {
    const other = decodeCoordinate(payload);
    if (!other) return drop(pool, "malformed");
    const refusal = pool.coordinates.update(node, other, rttMs / 1000);
    if (refusal === undefined) pool.peerCoordinates.set(node, other);
    else count(pool, "coordinates refused");
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    drop(pool, "malformed");
  }
}
