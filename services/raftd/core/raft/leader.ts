// The leader: its term's first entry, its heartbeats, what its peers' answers add up to, and when
// it must give up the office (Raft 5.2 to 5.4; check-quorum: dissertation 6.2).

import { becomeFollower } from "./follower.ts";
import { noteContact } from "./lease.ts";
import type {
  AppendAnswer,
  Entry,
  EntryKind,
  HeartbeatAnswer,
  Message,
  ServerId,
  SnapshotAnswer,
} from "./messages.ts";
import { Progress } from "./progress.ts";
import { answerConfirmedReads, beginWaitingReads } from "./reads.ts";
import { onAccepted, onHeard, onRejected, replicate } from "./replicate.ts";
import { onSnapshotAnswer, tendSnapshot } from "./snapshot.ts";
import {
  appendEntries,
  commitTo,
  majorityOfVoters,
  noteLeader,
  type RaftState,
  send,
  wallMs,
} from "./state.ts";
import {
  beginTransfer,
  continueTransfer,
  expireTransfer,
  liftLeaseBlock,
  tellToStand,
} from "./transfer.ts";

const noBytes = new Uint8Array(0);

export function becomeLeader(s: RaftState): void {
  s.candidacy = undefined;
  s.role = "leader";
  noteLeader(s, s.id);
  s.leadership = {
    firstIndex: s.log.lastIndex + 1,
    peers: new Map(),
    round: 0,
    heartbeatAtMs: s.nowMs,
    wantsRound: false,
    reads: [],
    transfer: undefined,
    leaseBlocks: new Map(),
    uncommitted: [],
    uncommittedBytes: 0,
    graceUntilMs: s.nowMs + s.settings.electionMaxMs,
    leaseFloorMs: s.nowMs,
  };
  syncPeers(s);
  appendEntries(s, [newEntry(s, "no-op", "", 0, noBytes)]);
  startRound(s);
  replicateToAll(s);
}

/** The entry that would come next in the leader's log. */
export function newEntry(
  s: RaftState,
  kind: EntryKind,
  origin: ServerId,
  id: number,
  bytes: Uint8Array,
): Entry {
  const stampMs = wallMs(s);
  return { index: s.log.lastIndex + 1, term: s.term, kind, stampMs, origin, id, bytes };
}

/** Keeps one progress for every other member; one that left is told so before it is forgotten. */
export function syncPeers(s: RaftState): void {
  const { peers } = s.leadership!;
  const members = new Set(s.members.members);
  for (const id of members) {
    const peer = peers.get(id);
    if (id !== s.id && !peer) peers.set(id, new Progress(id, s.log.lastIndex + 1, s.nowMs));
    if (peer) {
      peer.removedIndex = 0;
      peer.forgetAtMs = Infinity;
    }
  }
  for (const peer of peers.values()) {
    if (members.has(peer.id) || peer.removedIndex > 0) continue;
    peer.removedIndex = s.members.latest.index;
    peer.forgetAtMs = s.nowMs + 10 * s.settings.electionMaxMs;
  }
}

export function replicateToAll(s: RaftState): void {
  for (const peer of s.leadership!.peers.values()) replicate(s, peer);
}

export function startRound(s: RaftState): void {
  const leadership = s.leadership!;
  leadership.round++;
  leadership.wantsRound = false;
  leadership.heartbeatAtMs = s.nowMs + s.settings.heartbeatMs;
  for (const peer of leadership.peers.values()) sendHeartbeat(s, peer);
  answerConfirmedReads(s);
}

function sendHeartbeat(s: RaftState, peer: Progress): void {
  const commitIndex = Math.min(s.commitIndex, peer.matchIndex);
  peer.commitSent = Math.max(peer.commitSent, commitIndex);
  const { round } = s.leadership!;
  send(s, peer.id, { kind: "heartbeat", term: s.term, round, commitIndex, sentMs: s.nowMs });
}

/** Heartbeats are due, and whatever is checked with them. */
export function onLeaderTick(s: RaftState): void {
  const leadership = s.leadership!;
  if (s.nowMs < leadership.heartbeatAtMs) return;
  if (!hasQuorum(s)) return stepDown(s);
  if (expireTransfer(s)) return stepDown(s);
  // A disk that is full refuses writes and lets reads go on, under whoever leads.
  const isStalled = !s.isDiskFull && s.disk.stallMs(s.nowMs) > s.settings.diskStallMs;
  if (isStalled && !leadership.transfer) {
    if (beginTransfer(s, undefined, undefined) !== "") return stepDown(s);
  }
  startRound(s);
  for (const peer of [...leadership.peers.values()]) {
    tendSnapshot(s, peer);
    replicate(s, peer);
    continueTransfer(s, peer);
    if (s.nowMs >= peer.forgetAtMs) forget(s, peer);
  }
}

function stepDown(s: RaftState): void {
  becomeFollower(s, s.term, "");
}

function hasQuorum(s: RaftState): boolean {
  if (s.nowMs < s.leadership!.graceUntilMs) return true;
  const since = s.nowMs - s.settings.electionMaxMs;
  return majorityOfVoters(s, s.nowMs, (peer) => peer.contactMs) >= since;
}

function forget(s: RaftState, peer: Progress): void {
  if (peer.outgoing) {
    const { transfer } = peer.outgoing;
    s.effects.push({ kind: "close-snapshot", peer: peer.id, transfer });
  }
  s.leadership!.peers.delete(peer.id);
}

/** The peer's answer is of this term; a newer one ends the leadership. It may still answer what
 *  this server sent when it led an older term, which the callers tell by round and conflict. */
function peerOf(s: RaftState, from: ServerId, m: Message & { term: number }) {
  if (m.term > s.term) {
    becomeFollower(s, m.term, "");
    return undefined;
  }
  return m.term === s.term ? s.leadership?.peers.get(from) : undefined;
}

export function onAppendAnswer(s: RaftState, from: ServerId, m: AppendAnswer): void {
  const peer = peerOf(s, from, m);
  if (!peer) return;
  if (!m.accepted && m.conflictIndex === 0) return;
  noteContact(s, peer, m.sentMs, m.promiseMs);
  if (m.accepted) takeMatch(s, peer, m.matchIndex);
  else onRejected(s, peer, m);
  if (s.leadership) replicate(s, peer);
}

export function onHeartbeatAnswer(s: RaftState, from: ServerId, m: HeartbeatAnswer): void {
  const peer = peerOf(s, from, m);
  if (!peer) return;
  if (m.round === 0) return;
  noteContact(s, peer, m.sentMs, m.promiseMs);
  liftLeaseBlock(s, from, m.round);
  if (m.round > peer.ackedRound) {
    peer.ackedRound = m.round;
    answerConfirmedReads(s);
  }
  if (m.matchIndex > peer.matchIndex) takeMatch(s, peer, m.matchIndex);
  if (s.leadership) onHeard(s, peer, m);
}

export function onSnapshotAnswered(s: RaftState, from: ServerId, m: SnapshotAnswer): void {
  const peer = peerOf(s, from, m);
  if (!peer) return;
  noteContact(s, peer, m.sentMs, m.promiseMs);
  onSnapshotAnswer(s, peer, m);
  if (m.matchIndex > 0) takeMatch(s, peer, m.matchIndex);
  if (s.leadership) replicate(s, peer);
}

function takeMatch(s: RaftState, peer: Progress, matchIndex: number): void {
  if (onAccepted(s, peer, matchIndex)) advanceCommit(s);
  if (!s.leadership) return;
  pushCommit(s, peer);
  continueTransfer(s, peer);
  const wasTold = peer.commitSent >= peer.removedIndex && peer.matchIndex >= peer.removedIndex;
  if (peer.removedIndex > 0 && wasTold) forget(s, peer);
}

/** Commits what a majority has on disk, if it is of this term: an older entry could still be
 *  replaced although a majority has it (Raft 5.4.2). */
export function advanceCommit(s: RaftState): void {
  const leadership = s.leadership!;
  const index = majorityOfVoters(s, s.disk.persistedIndex, (peer) => peer.matchIndex);
  if (index <= s.commitIndex || index < leadership.firstIndex) return;
  const wasReady = s.commitIndex >= leadership.firstIndex;
  const configurationBefore = s.members.committed(s.commitIndex).index;
  commitTo(s, index);
  let done = 0;
  while (done < leadership.uncommitted.length && leadership.uncommitted[done]!.lastIndex <= index) {
    leadership.uncommittedBytes -= leadership.uncommitted[done]!.bytes;
    done++;
  }
  if (done > 0) leadership.uncommitted.splice(0, done);
  if (!wasReady) beginWaitingReads(s);
  for (const peer of leadership.peers.values()) pushCommit(s, peer);
  if (s.members.committed(s.commitIndex).index > configurationBefore) onConfigurationCommitted(s);
}

/** An idle peer learns of a commit at once: its callers wait for it. A busy one learns it with the
 *  next entries. */
function pushCommit(s: RaftState, peer: Progress): void {
  if (peer.inflightCount > 0 || peer.state === "snapshot") return;
  if (Math.min(s.commitIndex, peer.matchIndex) > peer.commitSent) sendHeartbeat(s, peer);
}

/** A leader that is no voter any more names its best follower and goes. */
function onConfigurationCommitted(s: RaftState): void {
  if (s.members.isVoter(s.id)) return;
  const leadership = s.leadership!;
  const voters = [...leadership.peers.values()].filter((p) => s.members.isVoter(p.id));
  const level = voters.find((p) => p.matchIndex === s.log.lastIndex);
  if (level) tellToStand(s, level.id);
  stepDown(s);
}
