// The one plain object that a pool's machine owns. The files in swim/ and serf/ are functions over it.
import type { Random } from "#shared/random.ts";
import type { Effect, Endpoint, KeyOperation, MemberStatus, Peer } from "./border.ts";
import type { Keyring } from "./keyring.ts";
import { EventCoalescer, MemberCoalescer } from "./serf/coalescer.ts";
import { type Coordinate, CoordinateModel } from "./serf/coordinate.ts";
import { LamportClock } from "./serf/lamport.ts";
import type { Settings } from "./settings.ts";
import { TransmitQueue } from "./swim/broadcasts.ts";
import type { Suspicion } from "./swim/suspicion.ts";
import type { Tags } from "./wire/tags.ts";

export type NodeState = "alive" | "suspect" | "dead" | "left";

/** What memberlist's layer knows of a node. */
export interface Node {
  name: string;
  /** As received: peers compare address bytes. */
  address: Uint8Array;
  port: number;
  meta: Uint8Array;
  versions: Uint8Array;
  incarnation: number;
  state: NodeState;
  changedMs: number;
  suspicion: Suspicion | undefined;
}

/** What Serf's layer knows of it; outlives the node record while it may come back. */
export interface RosterEntry {
  name: string;
  address: Uint8Array;
  port: number;
  tags: Tags;
  versions: Uint8Array;
  status: MemberStatus;
  /** Lamport time of the newest intent about it. */
  statusLTime: number;
  /** When it left or failed. */
  goneMs: number;
}

export interface Intent {
  kind: "join" | "leave";
  lTime: number;
  seenMs: number;
}

export interface ProbeRound {
  seqNo: number;
  node: string;
  sentMs: number;
  deadlineMs: number;
  helpersAsked: boolean;
  expectedNacks: number;
  nacks: number;
  /** The TCP ping that runs beside the indirect probes. */
  stream: number | undefined;
  streamAcked: boolean;
  /** We were stalled while it ran: it proves nothing about the other. */
  stalled: boolean;
  extended: boolean;
}

/** A probe that we make for another node. */
export interface RelayedProbe {
  requester: Endpoint;
  requesterSeqNo: number;
  acked: boolean;
}

export interface JoinAttempt {
  waiting: Peer[];
  openCount: number;
  contactedCount: number;
  errors: string[];
  ignoreOldEvents: boolean;
  /** Rejoin after a restart is content with the first that answers, one after another. */
  untilFirst: boolean;
}

export type OutgoingStream =
  | { kind: "join"; join: number; peer: Peer }
  | { kind: "push-pull"; node: string }
  | { kind: "ping"; seqNo: number };

export interface EventSlot {
  lTime: number;
  events: { name: string; payload: Uint8Array }[];
}

export interface QuerySlot {
  lTime: number;
  ids: Set<number>;
}

/** What becomes of the answers to a query of ours. */
export type AskPurpose =
  | { kind: "application"; ask: number }
  | { kind: "keys"; ask: number; operation: KeyOperation }
  | { kind: "conflict" };

export interface Ask {
  purpose: AskPurpose;
  id: number;
  deadlineMs: number;
  acks: Set<string>;
  responses: Map<string, Uint8Array>;
  expectedCount: number;
}

/** A query of another's that the application may still answer. */
export interface OpenQuery {
  id: number;
  lTime: number;
  to: Endpoint;
  sourceNode: string;
  relayFactor: number;
  deadlineMs: number;
}

export type Timer =
  | { kind: "probe" }
  | { kind: "probe-timeout"; seqNo: number }
  | { kind: "probe-end"; seqNo: number }
  | { kind: "relayed-probe-timeout"; seqNo: number }
  | { kind: "gossip" }
  | { kind: "push-pull" }
  | { kind: "suspicion"; node: string }
  | { kind: "reap" }
  | { kind: "reconnect" }
  | { kind: "queue-check" }
  | { kind: "clock-lines" }
  | { kind: "ask-ended"; lTime: number }
  | { kind: "query-ended"; query: number }
  | { kind: "prune"; node: string }
  | { kind: "coalesced"; what: "members" | "events" }
  | { kind: "leave"; stage: LeaveStage };

export type LeaveStage = "no" | "telling-intent" | "telling-death" | "lingering" | "left";

export type Drop =
  | "malformed"
  | "wrong-node"
  | "not-admitted"
  | "versions"
  | "too-old"
  | "oversized"
  | "unexpected";

export interface Pool {
  readonly settings: Settings;
  readonly random: Random;
  readonly keyring: Keyring | undefined;
  nowMs: number;
  effects: Effect[];
  timers: Map<number, { timer: Timer; dueMs: number }>;
  lastToken: number;
  /** Own tags may change after the start. */
  tags: Tags;

  /** In probing order, which is shuffled on each round. */
  nodes: Node[];
  byName: Map<string, Node>;
  incarnation: number;
  lastSeqNo: number;
  /** 0 is healthy; scales our own probing (Lifeguard). */
  awareness: number;
  probeAt: number;
  probe: ProbeRound | undefined;
  /** A tick came while a round was running. */
  probeDue: boolean;
  relayedProbes: Map<number, RelayedProbe>;
  broadcasts: TransmitQueue;
  lastStream: number;
  streams: Map<number, OutgoingStream>;
  joins: Map<number, JoinAttempt>;
  leave: LeaveStage;
  /** Stages of the leave whose news has been told often enough. */
  told: string[];

  roster: Map<string, RosterEntry>;
  intents: Map<string, Intent>;
  clock: LamportClock;
  eventClock: LamportClock;
  queryClock: LamportClock;
  intentQueue: TransmitQueue;
  queryQueue: TransmitQueue;
  eventQueue: TransmitQueue;
  events: (EventSlot | undefined)[];
  /** Of all payloads and names in `events`. */
  eventBytes: number;
  eventMinLTime: number;
  queries: (QuerySlot | undefined)[];
  queryMinLTime: number;
  /** By Lamport time. */
  asks: Map<number, Ask>;
  openQueries: Map<number, OpenQuery>;
  lastQuery: number;
  /** Times already in the snapshot. */
  written: { clock: number; eventClock: number; queryClock: number };
  seenEventLTime: number;
  seenQueryLTime: number;

  memberCoalescer: MemberCoalescer;
  eventCoalescer: EventCoalescer;
  coordinates: CoordinateModel;
  peerCoordinates: Map<string, Coordinate>;
  /** Running totals, for metrics: received messages by kind, drops by reason, and more. */
  counters: Map<string, number>;
}

export function createPool(settings: Settings, random: Random, keyring?: Keyring): Pool {
  const clocks = {
    clock: new LamportClock(),
    eventClock: new LamportClock(),
    queryClock: new LamportClock(),
  };
  for (const clock of Object.values(clocks)) clock.increment();
  return {
    settings,
    random,
    keyring,
    nowMs: 0,
    effects: [],
    timers: new Map(),
    lastToken: 0,
    tags: settings.tags,
    nodes: [],
    byName: new Map(),
    incarnation: 0,
    lastSeqNo: 0,
    awareness: 0,
    probeAt: 0,
    probe: undefined,
    probeDue: false,
    relayedProbes: new Map(),
    broadcasts: new TransmitQueue(),
    lastStream: 0,
    streams: new Map(),
    joins: new Map(),
    leave: "no",
    told: [],
    roster: new Map(),
    intents: new Map(),
    ...clocks,
    intentQueue: new TransmitQueue(),
    queryQueue: new TransmitQueue(),
    eventQueue: new TransmitQueue(),
    events: new Array(settings.eventBufferSlots).fill(undefined),
    eventBytes: 0,
    eventMinLTime: 0,
    queries: new Array(settings.queryBufferSlots).fill(undefined),
    queryMinLTime: 0,
    asks: new Map(),
    openQueries: new Map(),
    lastQuery: 0,
    written: { clock: 0, eventClock: 0, queryClock: 0 },
    seenEventLTime: 0,
    seenQueryLTime: 0,
    memberCoalescer: new MemberCoalescer(settings),
    eventCoalescer: new EventCoalescer(settings),
    coordinates: new CoordinateModel(random.split()),
    peerCoordinates: new Map(),
    counters: new Map(),
  };
}

/** Returns the token by which the timer is known; forgetting the token cancels it. */
export function setTimer(pool: Pool, timer: Timer, afterMs: number): number {
  const token = ++pool.lastToken;
  const wait = Math.max(0, afterMs);
  pool.timers.set(token, { timer, dueMs: pool.nowMs + wait });
  pool.effects.push({ kind: "set-timer", timer: timer.kind, token, afterMs: wait });
  return token;
}

export function count(pool: Pool, name: string, by = 1): void {
  pool.counters.set(name, (pool.counters.get(name) ?? 0) + by);
}

export function drop(pool: Pool, reason: Drop): void {
  count(pool, `dropped ${reason}`);
}

export function note(pool: Pool, level: "debug" | "info" | "warn", message: string): void {
  pool.effects.push({ kind: "note", level, message });
}

export function isLeaving(pool: Pool): boolean {
  return pool.leave !== "no";
}

/** memberlist's own leaving flag: set only once the intent has been told. */
export function isDying(pool: Pool): boolean {
  return pool.leave !== "no" && pool.leave !== "telling-intent";
}
