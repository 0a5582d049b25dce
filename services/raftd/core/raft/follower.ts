// The follower: follows the leader's log, and keeps its promise to help no other. Every server is
// one when it is not standing for election or leading.

import { giveUpForwarded } from "./forward.ts";
import { invariant } from "./invariant.ts";
import type { Append, Entry, Heartbeat, ServerId, TimeoutNow } from "./messages.ts";
import { refuseWaitingReads } from "./reads.ts";
import {
  appendEntries,
  commitTo,
  noteLeader,
  type RaftState,
  resetElectionTimer,
  send,
  sendAfter,
  setTerm,
} from "./state.ts";

export function becomeFollower(s: RaftState, term: number, leader: ServerId): void {
  if (term > s.term) {
    setTerm(s, term, "");
    giveUpForwarded(s, () => true);
    s.leader = "";
  }
  if (s.leadership) endLeadership(s);
  s.candidacy = undefined;
  s.role = "follower";
  if (leader !== "") noteLeader(s, leader);
}

function endLeadership(s: RaftState): void {
  const leadership = s.leadership!;
  s.leader = "";
  refuseWaitingReads(s);
  for (const peer of leadership.peers.values()) {
    if (!peer.outgoing) continue;
    const { transfer } = peer.outgoing;
    s.effects.push({ kind: "close-snapshot", peer: peer.id, transfer });
  }
  const asked = leadership.transfer?.id;
  if (asked !== undefined) s.effects.push({ kind: "answer-transfer", id: asked, refusal: "" });
  s.leadership = undefined;
  resetElectionTimer(s);
}

/** What every message of a leader means: a newer term is adopted, the leader known, the promise
 *  renewed. False if the sender leads no longer. */
export function heardLeader(s: RaftState, from: ServerId, term: number): boolean {
  if (term < s.term) return false;
  if (term > s.term || s.role !== "follower" || s.leader !== from) {
    invariant(
      s.role !== "leader" || term > s.term,
      `to be the one leader of term ${s.term}`,
      s.id,
      from,
    );
    becomeFollower(s, term, from);
  }
  s.contactMs = s.nowMs;
  s.promiseUntilMs = Math.max(s.promiseUntilMs, s.nowMs + s.settings.electionMinMs);
  s.hadGrace = false;
  resetElectionTimer(s);
  return true;
}

export function onHeartbeat(s: RaftState, from: ServerId, m: Heartbeat): void {
  const isLeader = heardLeader(s, from, m.term);
  if (isLeader) {
    s.leaderRound = Math.max(s.leaderRound, m.round);
    if (!s.incoming?.isInstalling) commitTo(s, Math.min(m.commitIndex, s.verifiedIndex));
  }
  send(s, from, {
    kind: "heartbeat-answer",
    term: s.term,
    round: isLeader ? m.round : 0,
    sentMs: isLeader ? m.sentMs : 0,
    promiseMs: isLeader ? s.settings.electionMinMs : 0,
    verifiedIndex: s.verifiedIndex,
    matchIndex: Math.min(s.verifiedIndex, s.disk.persistedIndex),
  });
}

export function onAppend(s: RaftState, from: ServerId, m: Append): void {
  if (!heardLeader(s, from, m.term)) return reject(s, from, m, 0, 0);
  // A state file is being switched: nothing may be committed under it.
  if (s.incoming?.isInstalling) return;
  // A full disk acknowledges nothing new; heartbeats go on.
  if (s.isDiskFull && m.entries.length > 0) return;
  const lastSent = m.prevIndex + m.entries.length;
  // What is committed here equals the leader's log and may be compacted: do not look at it.
  if (lastSent <= s.commitIndex) return accept(s, from, m, s.commitIndex);
  const skip = Math.max(0, s.commitIndex - m.prevIndex);
  const prevIndex = m.prevIndex + skip;
  const entries = skip > 0 ? m.entries.slice(skip) : m.entries;
  const prevTerm = skip > 0 ? m.entries[skip - 1]!.term : m.prevTerm;
  const found = s.log.termAt(prevIndex);
  if (found === undefined) return reject(s, from, m, 0, s.log.lastIndex + 1);
  if (found !== prevTerm) {
    invariant(prevIndex > s.commitIndex, "committed entries to agree", prevIndex, found, prevTerm);
    const first = Math.max(s.log.termFirstIndex(prevIndex), s.commitIndex + 1);
    return reject(s, from, m, found, first);
  }
  follow(s, entries);
  s.verifiedIndex = Math.max(s.verifiedIndex, lastSent);
  commitTo(s, Math.min(m.commitIndex, lastSent));
  accept(s, from, m, lastSent);
}

/** Makes the log agree with the entries. Those already there stay, with whatever follows them: a
 *  message that came late must not cut what came after it. */
function follow(s: RaftState, entries: readonly Entry[]): void {
  let known = 0;
  while (known < entries.length) {
    const entry = entries[known]!;
    const term = s.log.termAt(entry.index);
    if (term !== entry.term) {
      if (term !== undefined) truncateFrom(s, entry.index);
      break;
    }
    known++;
  }
  appendEntries(s, known > 0 ? entries.slice(known) : entries);
}

function truncateFrom(s: RaftState, index: number): void {
  invariant(index > s.commitIndex, "to keep what is committed", s.commitIndex, index);
  invariant(index > s.verifiedIndex, "to keep what agreed", s.verifiedIndex, index);
  s.log.truncateFrom(index);
  s.disk.truncateFrom(index);
  s.members.truncateFrom(index);
}

function accept(s: RaftState, from: ServerId, m: Append, matchIndex: number): void {
  s.verifiedIndex = Math.max(s.verifiedIndex, matchIndex);
  const seq = matchIndex > s.disk.persistedIndex ? s.disk.latestSeq : s.disk.hardStateSeq;
  sendAfter(s, seq, from, {
    kind: "append-answer",
    term: s.term,
    accepted: true,
    matchIndex,
    prevIndex: m.prevIndex,
    conflictTerm: 0,
    conflictIndex: 0,
    sentMs: m.sentMs,
    promiseMs: s.settings.electionMinMs,
  });
}

function reject(
  s: RaftState,
  from: ServerId,
  m: Append,
  conflictTerm: number,
  conflictIndex: number,
): void {
  send(s, from, {
    kind: "append-answer",
    term: s.term,
    accepted: false,
    matchIndex: 0,
    prevIndex: m.prevIndex,
    conflictTerm,
    conflictIndex,
    sentMs: m.sentMs,
    promiseMs: m.term === s.term ? s.settings.electionMinMs : 0,
  });
}

/** True if this server shall stand for election at once, as its leader asks. */
export function obeysTimeoutNow(s: RaftState, from: ServerId, m: TimeoutNow): boolean {
  if (m.term !== s.term || s.role !== "follower" || s.leader !== from) return false;
  return m.round >= s.leaderRound;
}
