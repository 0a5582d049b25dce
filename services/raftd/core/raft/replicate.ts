// The leader's traffic to one peer: how much to send, from where, and what its answers show.

import { invariant } from "./invariant.ts";
import { entryBytes } from "./log.ts";
import type { AppendAnswer, Entry, HeartbeatAnswer } from "./messages.ts";
import type { Progress } from "./progress.ts";
import { beginSnapshot, endSnapshot } from "./snapshot.ts";
import { type RaftState, send } from "./state.ts";

/** Sends what the peer lacks and may have under way. */
export function replicate(s: RaftState, peer: Progress): void {
  while (mayAppend(s, peer)) {
    const from = peer.nextIndex;
    if (s.log.termAt(from - 1) === undefined) return beginSnapshot(s, peer);
    if (from > s.log.lastIndex) {
      // Nothing to send; but a peer in probe must still show that its log agrees.
      if (peer.state === "probe") sendAppend(s, peer, []);
      return;
    }
    const { appendEntriesMax, appendBytesMax } = s.settings;
    const entries = s.log.slice(from, appendEntriesMax, appendBytesMax);
    if (entries === undefined) return readOlder(s, peer);
    sendAppend(s, peer, entries);
  }
}

function mayAppend(s: RaftState, peer: Progress): boolean {
  if (peer.isReading) return false;
  switch (peer.state) {
    case "snapshot":
      return false;
    case "probe":
      return peer.probeSentMs < 0;
    case "replicate":
      return peer.inflightCount < s.settings.inflightMessagesMax &&
        peer.inflightBytes < s.settings.inflightBytesMax;
    default:
      return peer.state satisfies never;
  }
}

function sendAppend(s: RaftState, peer: Progress, entries: readonly Entry[]): void {
  const prevIndex = peer.nextIndex - 1;
  const prevTerm = s.log.termAt(prevIndex)!;
  const lastIndex = prevIndex + entries.length;
  if (peer.state === "replicate") {
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    peer.sent(lastIndex, bytes, s.nowMs);
  } else {
    peer.probeSentMs = s.nowMs;
    peer.probeLastIndex = lastIndex;
  }
  const commitIndex = Math.min(s.commitIndex, lastIndex);
  peer.commitSent = Math.max(peer.commitSent, commitIndex);
  send(s, peer.id, {
    kind: "append",
    term: s.term,
    prevIndex,
    prevTerm,
    entries,
    commitIndex,
    sentMs: s.nowMs,
  });
}

function readOlder(s: RaftState, peer: Progress): void {
  peer.isReading = true;
  s.effects.push({
    kind: "read-log",
    peer: peer.id,
    fromIndex: peer.nextIndex,
    countMax: s.settings.appendEntriesMax,
    bytesMax: s.settings.appendBytesMax,
  });
}

/** Entries from disk for a peer that is behind the cache. */
export function onLogRead(
  s: RaftState,
  peer: Progress,
  fromIndex: number,
  entries: readonly Entry[],
): void {
  if (!peer.isReading || peer.state === "snapshot") return;
  peer.isReading = false;
  // Meanwhile the peer may have answered, and the next entry be another one.
  if (peer.nextIndex === fromIndex) {
    const isWhole = entries.length > 0 && entries[0]!.index === fromIndex &&
      entries.every((e) => s.log.termAt(e.index) === e.term);
    if (isWhole && s.log.termAt(fromIndex - 1) !== undefined) sendAppend(s, peer, entries);
    else if (s.log.slice(fromIndex, 1, 1) === undefined) return beginSnapshot(s, peer);
  }
  replicate(s, peer);
}

/** True if the peer's durable log grew. */
export function onAccepted(s: RaftState, peer: Progress, matchIndex: number): boolean {
  invariant(matchIndex <= s.log.lastIndex, "a match within the log", matchIndex, s.log.lastIndex);
  const grew = peer.matched(matchIndex);
  if (peer.state === "snapshot") {
    if (matchIndex >= s.log.base.index) endSnapshot(s, peer);
  } else if (peer.state === "probe" && matchIndex >= peer.nextIndex - 1) {
    peer.becomeReplicate();
    peer.nextIndex = matchIndex + 1;
  }
  return grew;
}

/** The peer's log disagrees at what was asked: goes back as far as its hint allows. */
export function onRejected(s: RaftState, peer: Progress, m: AppendAnswer): void {
  if (peer.state === "snapshot") return;
  if (peer.state === "probe" && m.prevIndex !== peer.nextIndex - 1) return;
  let next = m.conflictIndex;
  if (m.conflictTerm > 0) {
    const index = s.log.lastIndexOfTermUpTo(m.conflictTerm, m.prevIndex);
    if (s.log.termAt(index) === m.conflictTerm) next = index + 1;
  }
  // A hint below the match is a peer that was repaired after damage: it gets its log anew.
  peer.becomeProbe(Math.min(next, m.prevIndex));
}

/** What a heartbeat shows of messages that were lost on the way. */
export function onHeard(s: RaftState, peer: Progress, m: HeartbeatAnswer): void {
  peer.verifiedIndex = m.verifiedIndex;
  const agreed = Math.max(m.verifiedIndex, peer.matchIndex);
  if (peer.state === "replicate") {
    const oldest = peer.oldestInflight;
    const wasLost = oldest && oldest.sentMs < m.sentMs && oldest.lastIndex > m.verifiedIndex;
    const isUnsure = !oldest && m.verifiedIndex < peer.nextIndex - 1 && !peer.isReading;
    if (wasLost || isUnsure) peer.becomeProbe(agreed + 1);
  } else if (peer.state === "probe" && peer.probeSentMs >= 0 && peer.probeSentMs < m.sentMs) {
    if (m.verifiedIndex < peer.probeLastIndex || peer.matchIndex >= peer.probeLastIndex) {
      peer.probeSentMs = -1;
    }
  }
  replicate(s, peer);
}
