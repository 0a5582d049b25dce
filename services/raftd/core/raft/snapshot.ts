// The state file on its way from a leader to a peer that needs entries which are gone: pieces, one
// under way at a time, each answered; after a broken link it goes on where it was.

import { heardLeader } from "./follower.ts";
import type { Input } from "./machine.ts";
import type { ServerId, SnapshotAnswer, SnapshotChunk } from "./messages.ts";
import type { Progress } from "./progress.ts";
import { type Incoming, type RaftState, send, sendAfter, takeNumber } from "./state.ts";

/** A piece without an answer is sent again after this many election times. */
const RETRY_ELECTIONS = 4;
/** A transfer that makes no headway for this long is given up; until then it pins the log. */
const STUCK_MS = 60_000;

export function beginSnapshot(s: RaftState, peer: Progress): void {
  const transfer = takeNumber(s);
  peer.becomeSnapshot({
    transfer,
    startedMs: s.nowMs,
    snapshot: undefined,
    offset: 0,
    waitsFor: "read",
    sentMs: s.nowMs,
    progressMs: s.nowMs,
  });
  readPiece(s, peer);
}

function readPiece(s: RaftState, peer: Progress): void {
  const outgoing = peer.outgoing!;
  outgoing.waitsFor = "read";
  s.effects.push({
    kind: "read-snapshot",
    peer: peer.id,
    transfer: outgoing.transfer,
    offset: outgoing.offset,
    bytesMax: s.settings.snapshotChunkBytes,
  });
}

export function onSnapshotRead(s: RaftState, m: Extract<Input, { kind: "snapshot-read" }>): void {
  const outgoing = s.leadership?.peers.get(m.peer)?.outgoing;
  if (!outgoing || outgoing.transfer !== m.transfer || outgoing.waitsFor !== "read") return;
  if (outgoing.offset !== m.offset) return;
  outgoing.snapshot = m.snapshot;
  outgoing.waitsFor = "answer";
  outgoing.sentMs = s.nowMs;
  send(s, m.peer, {
    kind: "snapshot-chunk",
    term: s.term,
    transfer: m.transfer,
    snapshot: m.snapshot,
    offset: m.offset,
    totalBytes: m.totalBytes,
    isLast: m.isLast,
    bytes: m.bytes,
    sentMs: s.nowMs,
  });
}

/** Ends the transfer; the peer is probed next. */
export function endSnapshot(s: RaftState, peer: Progress): void {
  const outgoing = peer.outgoing;
  if (!outgoing) return;
  peer.outgoing = undefined;
  peer.becomeProbe(Math.max(peer.matchIndex + 1, s.log.base.index + 1));
  s.effects.push({ kind: "close-snapshot", peer: peer.id, transfer: outgoing.transfer });
}

/** The peer's answer to a piece. Its match index was taken up before. */
export function onSnapshotAnswer(s: RaftState, peer: Progress, m: SnapshotAnswer): void {
  const outgoing = peer.outgoing;
  if (!outgoing || outgoing.transfer !== m.transfer || m.matchIndex > 0) return;
  // Nothing of this copy is there (any more): another copy is as good, and may be newer.
  const hasRestarted = m.nextOffset < outgoing.offset && m.nextOffset === 0;
  if (hasRestarted) {
    endSnapshot(s, peer);
    beginSnapshot(s, peer);
  } else if (m.nextOffset > outgoing.offset) {
    outgoing.offset = m.nextOffset;
    outgoing.progressMs = s.nowMs;
    readPiece(s, peer);
  }
}

/** With every heartbeat: pieces that got lost are sent again, hopeless transfers end. */
export function tendSnapshot(s: RaftState, peer: Progress): void {
  const outgoing = peer.outgoing;
  if (!outgoing) return;
  if (s.nowMs - outgoing.progressMs > STUCK_MS) return endSnapshot(s, peer);
  const retryMs = RETRY_ELECTIONS * s.settings.electionMaxMs;
  if (outgoing.waitsFor === "answer" && s.nowMs - outgoing.sentMs > retryMs) readPiece(s, peer);
}

export function onSnapshotChunk(s: RaftState, from: ServerId, m: SnapshotChunk): void {
  if (!heardLeader(s, from, m.term)) return answer(s, from, m, 0, 0);
  if (m.snapshot.index <= s.commitIndex) {
    if (!s.incoming?.isInstalling) s.incoming = undefined;
    s.verifiedIndex = Math.max(s.verifiedIndex, s.commitIndex);
    return answer(s, from, m, 0, s.commitIndex);
  }
  let incoming = s.incoming;
  // A full disk takes nothing new; the sender asks again, in no hurry.
  if (incoming?.isInstalling || s.isDiskFull) return;
  if (!incoming || !isSame(incoming, from, m)) {
    if (m.offset !== 0) return answer(s, from, m, 0, 0);
    incoming = begin(s, from, m);
  }
  if (incoming.isWriting) return;
  if (m.offset !== incoming.nextOffset) return answer(s, from, m, incoming.nextOffset, 0);
  incoming.isWriting = true;
  incoming.gotLast = m.isLast;
  incoming.sentMs = m.sentMs;
  const { transfer, offset, totalBytes, bytes } = m;
  s.effects.push({ kind: "write-snapshot", from, transfer, offset, totalBytes, bytes });
}

/** Pieces of two copies do not make one file, and numbers of transfers are not unique for ever: a
 *  piece goes on with what came before only when it is of the very same snapshot. */
function isSame(incoming: Incoming, from: ServerId, m: SnapshotChunk): boolean {
  const { index, term } = incoming.snapshot;
  return incoming.from === from && incoming.transfer === m.transfer &&
    index === m.snapshot.index && term === m.snapshot.term;
}

function begin(s: RaftState, from: ServerId, m: SnapshotChunk): Incoming {
  return s.incoming = {
    from,
    transfer: m.transfer,
    snapshot: m.snapshot,
    nextOffset: 0,
    isWriting: false,
    gotLast: false,
    isInstalling: false,
    sentMs: m.sentMs,
  };
}

export function onSnapshotWritten(
  s: RaftState,
  m: Extract<Input, { kind: "snapshot-written" }>,
): void {
  const incoming = s.incoming;
  if (!incoming || incoming.transfer !== m.transfer || incoming.from !== m.from) return;
  if (incoming.isInstalling) return;
  incoming.isWriting = false;
  incoming.nextOffset = m.nextOffset;
  if (!incoming.gotLast) return answer(s, m.from, incoming, m.nextOffset, 0);
  // Meanwhile the log itself may have brought what the snapshot would.
  if (incoming.snapshot.index <= s.commitIndex) {
    s.incoming = undefined;
    return answer(s, m.from, incoming, 0, s.commitIndex);
  }
  incoming.isInstalling = true;
  const { from, transfer, snapshot } = incoming;
  s.effects.push({ kind: "install-snapshot", from, transfer, snapshot });
}

/** The state file is the snapshot now. The log stays only if it goes through the same entry: any
 *  other log is of another history, and kept it would be refused for ever. */
export function onSnapshotInstalled(
  s: RaftState,
  m: Extract<Input, { kind: "snapshot-installed" }>,
): void {
  const incoming = s.incoming;
  if (!incoming?.isInstalling || incoming.transfer !== m.transfer) return;
  s.incoming = undefined;
  const { index, term, configuration } = incoming.snapshot;
  if (s.log.termAt(index) === term) {
    s.members.restore(configuration, index);
  } else {
    s.log.reset({ index, term });
    s.disk.reset({ index, term });
    s.members.restore(configuration, Infinity);
  }
  s.stampMs = Math.max(s.stampMs, m.stampMs);
  s.commitIndex = Math.max(s.commitIndex, index);
  s.appliedIndex = Math.max(s.appliedIndex, index);
  s.snapshotIndex = Math.max(s.snapshotIndex, index);
  s.verifiedIndex = Math.max(s.verifiedIndex, index);
  answer(s, incoming.from, incoming, 0, index);
}

export function onSnapshotInstallFailed(
  s: RaftState,
  m: Extract<Input, { kind: "snapshot-install-failed" }>,
): void {
  const incoming = s.incoming;
  if (!incoming || incoming.transfer !== m.transfer) return;
  s.incoming = undefined;
  answer(s, incoming.from, incoming, 0, 0);
}

function answer(
  s: RaftState,
  to: ServerId,
  about: { readonly transfer: number; readonly sentMs: number },
  nextOffset: number,
  matchIndex: number,
): void {
  const seq = matchIndex > 0 ? s.disk.latestSeq : s.disk.hardStateSeq;
  sendAfter(s, seq, to, {
    kind: "snapshot-answer",
    term: s.term,
    transfer: about.transfer,
    nextOffset,
    matchIndex,
    sentMs: about.sentMs,
    promiseMs: s.leader === to ? s.settings.electionMinMs : 0,
  });
}
