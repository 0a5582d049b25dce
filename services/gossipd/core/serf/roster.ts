// Serf's members: what node news and intents together make of each one, and the reports about it.
import { formatEndpoint } from "../address.ts";
import {
  count,
  drop,
  isLeaving,
  type Node,
  type Pool,
  type RosterEntry,
  setTimer,
} from "../state.ts";
import { isGone } from "../swim/nodes.ts";
import { encodeSerf, type JoinIntent, type LeaveIntent } from "../wire/serf.ts";
import { decodeTags } from "../wire/tags.ts";
import { clockLines, snapshotLine } from "./clock-lines.ts";
import { tellMember } from "./telling.ts";

export function nodeJoined(pool: Pool, node: Node): void {
  let entry = pool.roster.get(node.name);
  if (!entry) {
    entry = newEntry(pool, node);
    pool.roster.set(node.name, entry);
  } else {
    const isFlap = entry.status === "failed" &&
      pool.nowMs - entry.goneMs < pool.settings.flapTimeoutMs;
    if (isFlap) count(pool, "flaps");
    entry.status = "alive";
  }
  adopt(entry, node);
  tellMember(pool, "joined", entry);
  snapshotLine(pool, { kind: "alive", name: entry.name, address: formatEndpoint(entry) });
  clockLines(pool);
}

function newEntry(pool: Pool, node: Node): RosterEntry {
  const entry: RosterEntry = {
    name: node.name,
    address: node.address,
    port: node.port,
    tags: new Map(),
    versions: node.versions,
    status: "alive",
    statusLTime: 0,
    goneMs: 0,
  };
  const intent = pool.intents.get(node.name);
  pool.intents.delete(node.name);
  if (intent) {
    entry.statusLTime = intent.lTime;
    if (intent.kind === "leave") entry.status = "leaving";
  }
  return entry;
}

function adopt(entry: RosterEntry, node: Node): void {
  entry.address = node.address;
  entry.port = node.port;
  entry.tags = decodeTags(node.meta);
  entry.versions = node.versions;
}

export function nodeUpdated(pool: Pool, node: Node): void {
  const entry = pool.roster.get(node.name);
  if (!entry) return;
  adopt(entry, node);
  tellMember(pool, "updated", entry);
}

export function nodeLeft(pool: Pool, node: Node): void {
  const entry = pool.roster.get(node.name);
  if (!entry) return;
  if (entry.status === "leaving") becomeGone(pool, entry, "left");
  else if (entry.status === "alive") becomeGone(pool, entry, "failed");
}

function becomeGone(pool: Pool, entry: RosterEntry, status: "left" | "failed"): void {
  entry.status = status;
  entry.goneMs = pool.nowMs;
  tellMember(pool, status, entry);
  snapshotLine(pool, { kind: "not-alive", name: entry.name });
  clockLines(pool);
}

/** Tells everyone that we are here, at the time that our clock shows. */
export function announceJoin(pool: Pool): void {
  const intent = { LTime: pool.clock.time, Node: pool.settings.name };
  pool.clock.witness(intent.LTime);
  heardJoin(pool, intent);
  pool.intentQueue.add({ message: encodeSerf({ kind: "join", body: intent }) });
}

/** Returns whether it is news that must be told on. */
export function heardJoin(pool: Pool, intent: JoinIntent): boolean {
  pool.clock.witness(intent.LTime);
  const entry = pool.roster.get(intent.Node);
  if (!entry) return keepIntent(pool, intent.Node, "join", intent.LTime);
  if (intent.LTime <= entry.statusLTime) return false;
  entry.statusLTime = intent.LTime;
  if (entry.status === "leaving" && !isOwnLeave(pool, entry)) entry.status = "alive";
  return true;
}

export function heardLeave(pool: Pool, intent: LeaveIntent): boolean {
  pool.clock.witness(intent.LTime);
  const entry = pool.roster.get(intent.Node);
  if (!entry) return keepIntent(pool, intent.Node, "leave", intent.LTime);
  if (intent.LTime <= entry.statusLTime) return false;
  if (intent.Node === pool.settings.name && !isLeaving(pool)) {
    announceJoin(pool);
    return false;
  }
  // Always: an intent that leaves the time as it was would be told in circles for ever.
  entry.statusLTime = intent.LTime;
  if (entry.status === "alive") entry.status = "leaving";
  else if (entry.status === "failed") becomeGone(pool, entry, "left");
  if (intent.Prune) prune(pool, entry);
  return true;
}

function isOwnLeave(pool: Pool, entry: RosterEntry): boolean {
  return entry.name === pool.settings.name && isLeaving(pool);
}

/** For a member that is not known yet. Bounded: the oldest make room. */
function keepIntent(pool: Pool, name: string, kind: "join" | "leave", lTime: number): boolean {
  const known = pool.intents.get(name);
  if (known && known.lTime >= lTime) return false;
  const intentsMax = 4096 + 2 * pool.roster.size;
  if (!known && pool.intents.size >= intentsMax) {
    pool.intents.delete(pool.intents.keys().next().value!);
    drop(pool, "unexpected");
  }
  pool.intents.set(name, { kind, lTime, seenMs: pool.nowMs });
  return true;
}

/** A member that is still leaving gets the time to be gone before it is forgotten. */
function prune(pool: Pool, entry: RosterEntry): void {
  if (entry.status !== "leaving") return erase(pool, entry);
  const { broadcastTimeoutMs, leavePropagateDelayMs } = pool.settings;
  const afterMs = broadcastTimeoutMs + leavePropagateDelayMs;
  setTimer(pool, { kind: "prune", node: entry.name }, afterMs);
}

export function pruneDue(pool: Pool, name: string): void {
  const entry = pool.roster.get(name);
  if (entry && entry.status !== "alive") erase(pool, entry);
}

export function erase(pool: Pool, entry: RosterEntry): void {
  pool.roster.delete(entry.name);
  pool.coordinates.forget(entry.name);
  pool.peerCoordinates.delete(entry.name);
  tellMember(pool, "reaped", entry);
}

/** force-leave: an intent in another's name. */
export function forceLeave(pool: Pool, name: string, wantsPrune: boolean): void {
  const intent: LeaveIntent = { LTime: pool.clock.time, Node: name, Prune: wantsPrune };
  pool.clock.increment();
  heardLeave(pool, intent);
  if (![...pool.nodes].some((node) => !isGone(node) && node.name !== pool.settings.name)) return;
  pool.intentQueue.add({ message: encodeSerf({ kind: "leave", body: intent }) });
}
