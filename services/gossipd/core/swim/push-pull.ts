// Full exchange of state over a stream: joining, regular anti-entropy, reconnecting.
import { formatEndpoint } from "../address.ts";
import type { Peer } from "../border.ts";
import { admissionRefusal } from "../consul/admission.ts";
import { announceJoin } from "../serf/roster.ts";
import { localState, mergeState } from "../serf/state-exchange.ts";
import { drop, type Node, note, type Pool, setTimer } from "../state.ts";
import {
  decodeStreamMessage,
  encodeStreamMessage,
  nodeStates,
  type Ping,
  type PushPull,
  type PushPullNode,
} from "../wire/memberlist.ts";
import { WireError } from "../wire/reader.ts";
import { randomNodes } from "./nodes.ts";
import { streamPingAnswered } from "./probe.ts";
import { heardAlive, heardDead, heardSuspect } from "./rumours.ts";

const joinsAtOnce = 8;
const errorsMax = 16;

export function join(
  pool: Pool,
  id: number,
  peers: readonly Peer[],
  mode: { ignoreOldEvents: boolean; untilFirst: boolean },
): void {
  const attempt = { waiting: [...peers], openCount: 0, contactedCount: 0, errors: [], ...mode };
  pool.joins.set(id, attempt);
  continueJoin(pool, id);
}

function continueJoin(pool: Pool, id: number): void {
  const attempt = pool.joins.get(id)!;
  const atOnce = attempt.untilFirst ? 1 : joinsAtOnce;
  if (attempt.untilFirst && attempt.contactedCount > 0) attempt.waiting = [];
  while (attempt.waiting.length > 0 && attempt.openCount < atOnce) {
    const peer = attempt.waiting.shift()!;
    attempt.openCount++;
    openExchange(pool, peer, { kind: "join", join: id, peer });
  }
  if (attempt.openCount > 0) return;
  pool.joins.delete(id);
  const { contactedCount, errors } = attempt;
  if (contactedCount > 0) announceJoin(pool);
  pool.effects.push({ kind: "joined", join: id, contactedCount, errors });
}

function openExchange(
  pool: Pool,
  peer: Peer,
  purpose: { kind: "join"; join: number; peer: Peer } | { kind: "push-pull"; node: string },
): void {
  const stream = ++pool.lastStream;
  pool.streams.set(stream, purpose);
  const isJoin = purpose.kind === "join";
  pool.effects.push({
    kind: "open-stream",
    stream,
    to: { address: peer.address, port: peer.port },
    purpose: purpose.kind,
    message: ownState(pool, isJoin),
    timeoutMs: pool.settings.tcpTimeoutMs,
  });
}

/** Every large pool's nodes exchange less often, as there are more of them to do it. */
export function pushPullScale(nodeCount: number): number {
  if (nodeCount <= 32) return 1;
  return Math.ceil(Math.log2(nodeCount) - Math.log2(32)) + 1;
}

export function pushPullTick(pool: Pool): void {
  const { settings } = pool;
  const intervalMs = settings.pushPullIntervalMs * pushPullScale(pool.nodes.length);
  setTimer(pool, { kind: "push-pull" }, intervalMs);
  const fits = (node: Node) => node.name !== settings.name && node.state === "alive";
  const [node] = randomNodes(pool, 1, fits);
  if (node) openExchange(pool, node, { kind: "push-pull", node: node.name });
}

export function ownState(pool: Pool, isJoin: boolean): Uint8Array {
  const nodes = pool.nodes.map((node): PushPullNode => ({
    Addr: node.address,
    Incarnation: node.incarnation,
    Meta: node.meta,
    Name: node.name,
    Port: node.port,
    State: nodeStates[node.state],
    Vsn: node.versions,
  }));
  const body = { join: isJoin, nodes, userState: localState(pool) };
  return encodeStreamMessage({ kind: "pushPull", body });
}

export function streamAnswered(pool: Pool, stream: number, message: Uint8Array): void {
  const purpose = pool.streams.get(stream);
  if (!purpose) return;
  pool.streams.delete(stream);
  let failure: string | undefined;
  try {
    const answer = decodeStreamMessage(message);
    if (answer.kind === "err") failure = `remote error: ${answer.body.Error}`;
    else if (purpose.kind === "ping") {
      if (answer.kind === "ackResp") streamPingAnswered(pool, purpose.seqNo, answer.body.SeqNo);
      return;
    } else if (answer.kind === "pushPull") {
      const ignoreOldEvents = purpose.kind === "join" &&
        pool.joins.get(purpose.join)!.ignoreOldEvents;
      failure = merge(pool, answer.body, purpose.kind === "join", ignoreOldEvents);
    } else failure = `expected a push/pull, but got ${answer.kind}`;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    failure = error.message;
  }
  finishExchange(pool, purpose, failure);
}

export function streamFailed(pool: Pool, stream: number, reason: string): void {
  const purpose = pool.streams.get(stream);
  if (!purpose) return;
  pool.streams.delete(stream);
  finishExchange(pool, purpose, reason);
}

function finishExchange(
  pool: Pool,
  purpose: NonNullable<ReturnType<Pool["streams"]["get"]>>,
  failure: string | undefined,
): void {
  if (purpose.kind === "push-pull" && failure !== undefined) {
    note(pool, "debug", `push/pull with ${purpose.node} failed: ${failure}`);
  }
  if (purpose.kind !== "join") return;
  const attempt = pool.joins.get(purpose.join)!;
  attempt.openCount--;
  if (failure === undefined) attempt.contactedCount++;
  else if (attempt.errors.length < errorsMax) {
    attempt.errors.push(`Failed to join ${formatEndpoint(purpose.peer)}: ${failure}`);
  }
  continueJoin(pool, purpose.join);
}

/** A ping that a peer sent over a stream, as packets may not come through. */
export function receivedPing(pool: Pool, stream: number, { Node, SeqNo }: Ping): void {
  if (Node !== "" && Node !== pool.settings.name) {
    drop(pool, "wrong-node");
    pool.effects.push({ kind: "close-stream", stream });
    return;
  }
  const message = encodeStreamMessage({ kind: "ackResp", body: { Payload: null, SeqNo } });
  pool.effects.push({ kind: "reply-stream", stream, message });
}

/** Our state goes out before theirs is merged, as memberlist does. */
export function receivedExchange(pool: Pool, stream: number, state: PushPull): void {
  pool.effects.push({ kind: "reply-stream", stream, message: ownState(pool, state.join) });
  const failure = merge(pool, state, state.join, false);
  if (failure !== undefined) note(pool, "warn", `push/pull refused: ${failure}`);
}

/** Returns why nothing was merged. */
function merge(
  pool: Pool,
  state: PushPull,
  isJoin: boolean,
  ignoreOldEvents: boolean,
): string | undefined {
  const refusal = versionRefusal(pool, state.nodes) ?? (isJoin
    ? admissionRefusal(
      pool.settings.admission,
      state.nodes.filter((node) => node.Name !== pool.settings.name).map((node) => ({
        name: node.Name,
        meta: node.Meta,
        hasLeft: node.State === nodeStates.left,
      })),
    )
    : undefined);
  if (refusal !== undefined) {
    drop(pool, "not-admitted");
    return refusal;
  }
  for (const node of state.nodes) mergeNode(pool, node);
  mergeState(pool, state.userState, isJoin && ignoreOldEvents);
  return undefined;
}

/** What is dead to another is only suspect to us, so that it can still refute. */
function mergeNode(pool: Pool, node: PushPullNode): void {
  const { Name: Node, Incarnation, Addr, Meta, Port, Vsn } = node;
  switch (node.State) {
    case nodeStates.alive:
      return heardAlive(pool, { Addr, Incarnation, Meta, Node, Port, Vsn }, "others");
    case nodeStates.left:
      return heardDead(pool, { From: Node, Incarnation, Node });
    case nodeStates.suspect:
    case nodeStates.dead:
      return heardSuspect(pool, { From: pool.settings.name, Incarnation, Node });
    default:
      return drop(pool, "malformed");
  }
}

/** Everyone's current protocols must lie in the range that all understand. */
function versionRefusal(pool: Pool, remote: readonly PushPullNode[]): string | undefined {
  const all = pool.nodes.filter((node) => node.state === "alive").map((node) => node.versions);
  for (const { State, Vsn } of remote) if (State === nodeStates.alive && Vsn?.length) all.push(Vsn);
  for (const [first, layer] of [[0, "protocol"], [3, "delegate protocol"]] as const) {
    let lowest = 0;
    let highest = 255;
    for (const versions of all) {
      lowest = Math.max(lowest, versions[first] ?? 0);
      highest = Math.min(highest, versions[first + 1] ?? 0);
    }
    for (const versions of all) {
      const current = versions[first + 2] ?? 0;
      if (current >= lowest && current <= highest) continue;
      return `a node's ${layer} ${current} is outside the range [${lowest}, ${highest}] of the pool`;
    }
  }
  return undefined;
}
