// Raft (Ongaro's dissertation): takes facts, gives orders. This file routes inputs by role.

import type { Machine } from "#shared/machine.ts";
import type { Random } from "#shared/random.ts";
import {
  countOwnElection,
  mayStand,
  onElectionTimeout,
  onPreVoteAnswer,
  onVoteAnswer,
  standForElection,
} from "./candidate.ts";
import { compact } from "./compaction.ts";
import { becomeFollower, obeysTimeoutNow, onAppend, onHeartbeat } from "./follower.ts";
import {
  forwardProposals,
  forwardReads,
  giveUpForwarded,
  onProposeAnswer,
  onReadIndexAnswer,
} from "./forward.ts";
import { invariant } from "./invariant.ts";
import {
  advanceCommit,
  onAppendAnswer,
  onHeartbeatAnswer,
  onLeaderTick,
  onSnapshotAnswered,
  startRound,
} from "./leader.ts";
import { voidLease } from "./lease.ts";
import type { Effect, Input, RaftStatus, Restored } from "./machine.ts";
import type { Message, ServerId } from "./messages.ts";
import { bootstrap, onPropose, proposeChange, takeProposals } from "./proposals.ts";
import { publish } from "./publish.ts";
import { askLeader, isRoundDue, refuse } from "./reads.ts";
import { onLogRead } from "./replicate.ts";
import { restoredState, start } from "./restore.ts";
import type { RaftSettings } from "./settings.ts";
import {
  endSnapshot,
  onSnapshotChunk,
  onSnapshotInstalled,
  onSnapshotInstallFailed,
  onSnapshotRead,
  onSnapshotWritten,
} from "./snapshot.ts";
import { isAlone, type RaftState, resetElectionTimer } from "./state.ts";
import { statusOf } from "./status.ts";
import { beginTransfer } from "./transfer.ts";
import { onPreVote, onVote } from "./voter.ts";

export interface RaftOptions {
  readonly id: ServerId;
  readonly settings: RaftSettings;
  readonly random: Random;
  readonly restored: Restored;
}

export class Raft implements Machine<Input, Effect> {
  readonly #state: RaftState;

  constructor({ id, settings, random, restored }: RaftOptions) {
    this.#state = restoredState(id, settings, random, restored);
  }

  /** When the next `timer-fired` is due at the latest. Read it after each step. */
  get deadlineMs(): number {
    return deadlineOf(this.#state);
  }

  step(input: Input, nowMs: number): Effect[] {
    const s = this.#state;
    if (s.isHalted) return [];
    const lateMs = nowMs - deadlineOf(s);
    s.nowMs = Math.max(s.nowMs, nowMs);
    s.effects = [];
    if (lateMs > s.settings.lateTickMs) onPause(s);
    route(s, input);
    if (s.leadership && s.nowMs >= s.leadership.heartbeatAtMs) onLeaderTick(s);
    if (s.leadership && isRoundDue(s)) startRound(s);
    if (s.promised && mayStand(s)) s.promised = undefined;
    const { cacheEntriesMax, cacheEntriesMaxAlone, cacheBytesMax } = s.settings;
    const entriesMax = s.members.members.length > 1 ? cacheEntriesMax : cacheEntriesMaxAlone;
    s.log.evict(s.disk.persistedIndex, entriesMax, cacheBytesMax);
    return publish(s);
  }

  status(nowMs: number): RaftStatus {
    return statusOf(this.#state, nowMs);
  }
}

function deadlineOf(s: RaftState): number {
  const due = s.leadership ? s.leadership.heartbeatAtMs : s.electionAtMs;
  if (s.forwarded.size === 0) return due;
  const oldest = s.forwarded.values().next().value!;
  return Math.min(due, oldest.sentMs + s.settings.forwardTimeoutMs);
}

/** This server stood still, or its clocks moved apart: what it measured before is worth nothing,
 *  and what its peers sent meanwhile is yet to be read. */
function onPause(s: RaftState): void {
  if (!s.leadership) return;
  voidLease(s);
  s.leadership.graceUntilMs = s.nowMs + s.settings.electionMinMs;
}

function route(s: RaftState, input: Input): void {
  switch (input.kind) {
    case "started":
      return start(s, input.wallMs);
    case "timer-fired":
      return onTimer(s, input.wallMs);
    case "received":
      return onMessage(s, input.from, input.message);
    case "peer-unreachable":
      return onUnreachable(s, input.peer);
    case "persisted":
      return onPersisted(s, input.seq);
    case "persist-failed":
      return halt(s, input.reason);
    case "disk-full-changed":
      s.isDiskFull = input.isFull;
      return;
    case "proposed":
      return s.leadership
        ? takeProposals(s, input.proposals)
        : forwardProposals(s, input.proposals);
    case "read-requested":
      return s.leadership
        ? askLeader(s, { kind: "local", ids: input.ids }, input.mode)
        : forwardReads(s, input.ids, input.mode);
    case "configuration-change-proposed":
      return proposeChange(s, input.id, input.change, input.prevIndex);
    case "bootstrap-requested":
      return bootstrap(s, input.id, input.configuration);
    case "transfer-requested":
      return onTransferRequested(s, input.id, input.to);
    case "applied":
      return onApplied(s, input.index);
    default:
      return routeSnapshot(s, input);
  }
}

type SnapshotInput = Extract<Input, { kind: `snapshot-${string}` | "log-read" }>;

function routeSnapshot(s: RaftState, input: SnapshotInput): void {
  switch (input.kind) {
    case "log-read": {
      const peer = s.leadership?.peers.get(input.peer);
      if (peer) onLogRead(s, peer, input.fromIndex, input.entries);
      return;
    }
    case "snapshot-taken":
      invariant(input.index <= s.commitIndex, "a snapshot of what is committed", input.index);
      s.snapshotIndex = Math.max(s.snapshotIndex, input.index);
      s.stateBytes = input.stateBytes;
      return compact(s);
    case "snapshot-read":
      return onSnapshotRead(s, input);
    case "snapshot-read-failed": {
      const peer = s.leadership?.peers.get(input.peer);
      if (peer?.outgoing?.transfer === input.transfer) endSnapshot(s, peer);
      return;
    }
    case "snapshot-written":
      return onSnapshotWritten(s, input);
    case "snapshot-installed":
      return onSnapshotInstalled(s, input);
    case "snapshot-install-failed":
      return onSnapshotInstallFailed(s, input);
    default:
      return input satisfies never;
  }
}

function onMessage(s: RaftState, from: ServerId, m: Message): void {
  switch (m.kind) {
    case "append":
      return onAppend(s, from, m);
    case "append-answer":
      return onAppendAnswer(s, from, m);
    case "heartbeat":
      return onHeartbeat(s, from, m);
    case "heartbeat-answer":
      return onHeartbeatAnswer(s, from, m);
    case "propose":
      return onPropose(s, from, m);
    case "propose-answer":
      return onProposeAnswer(s, from, m);
    case "read-index":
      return s.leadership
        ? askLeader(s, { kind: "peer", from, batch: m.batch }, m.mode)
        : refuse(s, { kind: "peer", from, batch: m.batch }, "not-leader");
    case "read-index-answer":
      return onReadIndexAnswer(s, from, m);
    case "snapshot-chunk":
      return onSnapshotChunk(s, from, m);
    case "snapshot-answer":
      return onSnapshotAnswered(s, from, m);
    default:
      return onElectionMessage(s, from, m);
  }
}

type ElectionMessage = Extract<
  Message,
  { kind: "pre-vote" | "pre-vote-answer" | "vote" | "vote-answer" | "timeout-now" }
>;

function onElectionMessage(s: RaftState, from: ServerId, m: ElectionMessage): void {
  switch (m.kind) {
    case "pre-vote":
      return onPreVote(s, from, m);
    case "pre-vote-answer":
      return onPreVoteAnswer(s, from, m);
    case "vote":
      return onVote(s, from, m);
    case "vote-answer":
      return onVoteAnswer(s, from, m);
    case "timeout-now":
      if (obeysTimeoutNow(s, from, m) && mayStand(s)) standForElection(s, true);
      return;
    default:
      return m satisfies never;
  }
}

function onTimer(s: RaftState, wallNowMs: number): void {
  const offsetMs = wallNowMs - s.nowMs;
  if (Math.abs(offsetMs - s.wallOffsetMs) > s.settings.clockStepMs) onPause(s);
  s.wallOffsetMs = offsetMs;
  const givenUpMs = s.nowMs - s.settings.forwardTimeoutMs;
  if (s.forwarded.size > 0) giveUpForwarded(s, (f) => f.sentMs <= givenUpMs);
  if (s.leadership || s.nowMs < s.electionAtMs) return;
  // After a pause the leader's heartbeats may still lie in the queue: read them first, once.
  if (s.nowMs - s.electionAtMs > s.settings.lateTickMs && !s.hadGrace) {
    s.hadGrace = true;
    return resetElectionTimer(s);
  }
  onElectionTimeout(s);
}

function onPersisted(s: RaftState, seq: number): void {
  for (const { to, message } of s.disk.persisted(seq)) {
    s.effects.push({ kind: "send", to, message });
  }
  countOwnElection(s);
  if (s.leadership) advanceCommit(s);
  if (s.role === "follower" && isAlone(s)) s.electionAtMs = s.nowMs;
}

function onUnreachable(s: RaftState, id: ServerId): void {
  giveUpForwarded(s, (f) => f.to === id);
  const peer = s.leadership?.peers.get(id);
  if (peer?.state !== "replicate") return;
  peer.becomeProbe(peer.matchIndex + 1);
  // Its next answer to a heartbeat starts the probe.
  peer.probeSentMs = s.nowMs;
  peer.probeLastIndex = Infinity;
}

function onTransferRequested(s: RaftState, id: number, to: ServerId | undefined): void {
  const refusal = beginTransfer(s, to, id);
  if (refusal !== "") s.effects.push({ kind: "answer-transfer", id, refusal });
}

function onApplied(s: RaftState, index: number): void {
  // The state may tell of an installed snapshot before its installation is reported.
  if (s.incoming?.isInstalling) return;
  invariant(index <= s.commitIndex, "to apply only what is committed", index, s.commitIndex);
  s.appliedIndex = Math.max(s.appliedIndex, index);
}

/** A disk that failed once may report success for what it lost: nothing is tried again. */
function halt(s: RaftState, reason: string): void {
  becomeFollower(s, s.term, "");
  giveUpForwarded(s, () => true);
  s.isHalted = true;
  s.electionAtMs = Infinity;
  s.effects.push({ kind: "halt", reason });
}
