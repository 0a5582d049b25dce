// Alive, suspect, dead: which news about a node wins, and what is told on (SWIM section 4.2, and
// memberlist's rules for names and addresses that come back).
import { formatEndpoint } from "../address.ts";
import { admissionRefusal } from "../consul/admission.ts";
import { startConflictVote } from "../serf/conflict.ts";
import { nodeJoined, nodeLeft, nodeUpdated } from "../serf/roster.ts";
import { drop, isDying, type Node, note, type Pool, setTimer } from "../state.ts";
import { type Accusation, type Alive, encodeMessage } from "../wire/memberlist.ts";
import { sameBytes } from "../wire/packet.ts";
import { encodeTags, metaBytesMax } from "../wire/tags.ts";
import { hasOtherAlive, insertNode, isGone } from "./nodes.ts";
import { confirmSuspicion, startSuspicion, suspicionRemainingMs } from "./suspicion.ts";

const incarnationMax = 0xffff_ffff;
/** Bounds for what others may make us keep; far above any real pool. */
const nodesMax = 65_536;
const nameLengthMax = 1_024;
const noBytes = new Uint8Array();

/** Announces ourselves: at the start and when our tags have changed. */
export function announceSelf(pool: Pool): void {
  const { name, address, port, versions } = pool.settings;
  pool.incarnation = Math.min(pool.incarnation + 1, incarnationMax);
  const alive = {
    Addr: address,
    Incarnation: pool.incarnation,
    Meta: encodeTags(pool.tags),
    Node: name,
    Port: port,
    Vsn: versions,
  };
  heardAlive(pool, alive, "ourselves");
}

/** `origin`: our own announcement must not be refuted. */
export function heardAlive(pool: Pool, alive: Alive, origin: "ourselves" | "others"): void {
  const { settings } = pool;
  const isSelf = alive.Node === settings.name;
  if (isSelf && isDying(pool)) return;
  if (alive.Node === "") return drop(pool, "malformed");
  if (!isSelf && isKnown(pool, alive)) return;
  const claim = { ...alive, Port: alive.Port === 0 ? settings.port : alive.Port };
  if (origin === "others" && !isAcceptable(pool, claim)) return;

  let node = pool.byName.get(alive.Node);
  let isReclaim = false;
  if (!node) {
    node = newNode(claim, pool.nowMs);
    insertNode(pool, node);
  } else if (!sameBytes(node.address, claim.Addr) || node.port !== claim.Port) {
    if (!mayReclaim(pool, node)) return conflict(pool, node, claim);
    isReclaim = true;
  }
  const isNews = isSelf
    ? claim.Incarnation >= node.incarnation
    : claim.Incarnation > node.incarnation;
  if (!isNews && !(isReclaim && !isSelf)) return;
  if (isSelf && origin === "others") {
    const isOurs = claim.Incarnation === node.incarnation && sameBytes(claim.Meta, node.meta) &&
      sameBytes(claim.Vsn, node.versions);
    if (!isOurs) refute(pool, node, claim.Incarnation);
    return;
  }
  acceptAlive(pool, node, alive, claim);
}

/** The common case first: most of what is retold has been heard before. */
function isKnown(pool: Pool, alive: Alive): boolean {
  const node = pool.byName.get(alive.Node);
  return node !== undefined && alive.Incarnation <= node.incarnation &&
    alive.Port === node.port && sameBytes(alive.Addr, node.address);
}

function acceptAlive(pool: Pool, node: Node, told: Alive, claim: Alive): void {
  cancelSuspicion(pool, node);
  pool.broadcasts.add({ name: node.name, message: encodeMessage({ kind: "alive", body: told }) });
  const wasGone = isGone(node);
  const metaChanged = !sameBytes(node.meta, claim.Meta);
  node.versions = claim.Vsn ?? noBytes;
  node.incarnation = claim.Incarnation;
  node.meta = claim.Meta ?? noBytes;
  node.address = claim.Addr ?? noBytes;
  node.port = claim.Port;
  if (node.state !== "alive") {
    node.state = "alive";
    node.changedMs = pool.nowMs;
  }
  if (wasGone) nodeJoined(pool, node);
  else if (metaChanged) nodeUpdated(pool, node);
}

function newNode(claim: Alive, nowMs: number): Node {
  return {
    name: claim.Node,
    address: claim.Addr ?? noBytes,
    port: claim.Port,
    meta: noBytes,
    versions: claim.Vsn ?? noBytes,
    incarnation: 0,
    state: "dead",
    changedMs: nowMs,
    suspicion: undefined,
  };
}

function isAcceptable(pool: Pool, alive: Alive): boolean {
  const versions = alive.Vsn ?? noBytes;
  const [lowest = 0, highest = 0] = versions;
  const address = alive.Addr ?? noBytes;
  const isTooMuch = alive.Node.length > nameLengthMax || (alive.Meta?.length ?? 0) > metaBytesMax ||
    (pool.nodes.length >= nodesMax && !pool.byName.has(alive.Node));
  if (isTooMuch) {
    drop(pool, "oversized");
    return false;
  }
  if (versions.length < 6 || lowest === 0 || highest === 0 || lowest > highest) {
    drop(pool, "versions");
    return false;
  }
  if (address.length !== 4 && address.length !== 16) {
    drop(pool, "malformed");
    return false;
  }
  const { addressAllowed, admission } = pool.settings;
  const refusal = addressAllowed?.(address) === false
    ? `its address ${formatEndpoint({ address, port: alive.Port })} is not allowed`
    : alive.Node === pool.settings.name
    ? undefined
    : admissionRefusal(admission, [{ name: alive.Node, meta: alive.Meta, hasLeft: false }]);
  if (refusal === undefined) return true;
  drop(pool, "not-admitted");
  note(pool, "warn", `ignoring alive message of ${alive.Node}: ${refusal}`);
  return false;
}

/** A name may come back from another address once its old holder left or is long dead. */
function mayReclaim(pool: Pool, node: Node): boolean {
  const { deadNodeReclaimMs } = pool.settings;
  if (node.state === "left") return true;
  return node.state === "dead" && deadNodeReclaimMs > 0 &&
    pool.nowMs - node.changedMs > deadNodeReclaimMs;
}

function conflict(pool: Pool, node: Node, claim: Alive): void {
  const ours = formatEndpoint(node);
  const theirs = formatEndpoint({ address: claim.Addr ?? noBytes, port: claim.Port });
  note(pool, "warn", `conflicting address for ${node.name}: ${ours}, but also ${theirs}`);
  if (node.name === pool.settings.name) startConflictVote(pool);
}

export function heardSuspect(pool: Pool, accusation: Accusation): void {
  const node = pool.byName.get(accusation.Node);
  if (!node || accusation.Incarnation < node.incarnation) return;
  const message = encodeMessage({ kind: "suspect", body: accusation });
  if (node.suspicion) {
    if (!confirmSuspicion(node.suspicion, accusation.From)) return;
    armSuspicion(pool, node);
    pool.broadcasts.add({ name: node.name, message });
    return;
  }
  if (node.state !== "alive") return;
  if (node.name === pool.settings.name) return refute(pool, node, accusation.Incarnation);
  pool.broadcasts.add({ name: node.name, message });
  node.incarnation = accusation.Incarnation;
  node.state = "suspect";
  node.changedMs = pool.nowMs;
  node.suspicion = startSuspicion(accusation.From, pool.nodes.length, pool.settings, pool.nowMs);
  armSuspicion(pool, node);
}

function armSuspicion(pool: Pool, node: Node): void {
  const suspicion = node.suspicion!;
  pool.timers.delete(suspicion.token);
  const afterMs = suspicionRemainingMs(suspicion, pool.nowMs);
  suspicion.token = setTimer(pool, { kind: "suspicion", node: node.name }, afterMs);
}

function cancelSuspicion(pool: Pool, node: Node): void {
  if (!node.suspicion) return;
  pool.timers.delete(node.suspicion.token);
  node.suspicion = undefined;
}

/** Time in which we were stalled is no time in which the suspect could defend itself; but for a
 *  node that is always late the extension must end. */
export function suspicionExpired(pool: Pool, name: string, lateMs: number): void {
  const node = pool.byName.get(name);
  if (!node?.suspicion || node.state !== "suspect") return;
  const { suspicion } = node;
  if (lateMs > pool.settings.stallMs && suspicion.extendedMs < suspicion.maxMs) {
    const extraMs = Math.min(lateMs, suspicion.minMs);
    suspicion.startedMs += extraMs;
    suspicion.extendedMs += extraMs;
    suspicion.token = setTimer(pool, { kind: "suspicion", node: name }, extraMs);
    return;
  }
  const body = { From: pool.settings.name, Incarnation: node.incarnation, Node: name };
  heardDead(pool, body);
}

export function heardDead(pool: Pool, accusation: Accusation, notify?: string): void {
  const node = pool.byName.get(accusation.Node);
  if (!node || accusation.Incarnation < node.incarnation) return;
  cancelSuspicion(pool, node);
  if (isGone(node)) return;
  if (node.name === pool.settings.name && !isDying(pool)) {
    return refute(pool, node, accusation.Incarnation);
  }
  const message = encodeMessage({ kind: "dead", body: accusation });
  pool.broadcasts.add({ name: node.name, message, ...(notify ? { notify } : {}) });
  node.incarnation = accusation.Incarnation;
  node.state = accusation.From === accusation.Node ? "left" : "dead";
  node.changedMs = pool.nowMs;
  nodeLeft(pool, node);
}

/** Outbids the accusation with a higher incarnation. Being accused at all is a sign of ill health. */
function refute(pool: Pool, node: Node, accusedIncarnation: number): void {
  const outbid = Math.max(pool.incarnation, accusedIncarnation) + 1;
  pool.incarnation = Math.min(outbid, incarnationMax);
  node.incarnation = pool.incarnation;
  changeAwareness(pool, 1);
  const body = {
    Addr: node.address,
    Incarnation: node.incarnation,
    Meta: node.meta,
    Node: node.name,
    Port: node.port,
    Vsn: node.versions,
  };
  pool.broadcasts.add({ name: node.name, message: encodeMessage({ kind: "alive", body }) });
}

export function changeAwareness(pool: Pool, by: number): void {
  const highest = pool.settings.awarenessMax - 1;
  pool.awareness = Math.max(0, Math.min(highest, pool.awareness + by));
}

/** Tells that we go; `notify` is reported once enough have been told. False: nobody is there. */
export function announceDeath(pool: Pool, notify: string): boolean {
  const { name } = pool.settings;
  const incarnation = pool.byName.get(name)?.incarnation ?? 0;
  heardDead(pool, { From: name, Incarnation: incarnation, Node: name }, notify);
  return hasOtherAlive(pool);
}
