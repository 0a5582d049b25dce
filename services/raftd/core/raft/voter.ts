// The voter: whom it helps to become leader, and when it refuses (Raft 5.2 and 5.4.1; pre-vote and
// protection of a living leader: dissertation 9.6 and 4.2.3).

import { becomeFollower } from "./follower.ts";
import type { PreVote, ServerId, Vote } from "./messages.ts";
import { type RaftState, resetElectionTimer, send, setTerm } from "./state.ts";

/** A question only: nothing is stored, no term adopted, no timer touched. */
export function onPreVote(s: RaftState, from: ServerId, m: PreVote): void {
  const granted = m.term >= s.term && !protectsLeader(s) && isUpToDate(s, m);
  send(s, from, { kind: "pre-vote-answer", term: s.term, askedTerm: m.term, granted });
}

export function onVote(s: RaftState, from: ServerId, m: Vote): void {
  if (m.term > s.term) {
    // Not even the term is adopted, or a server that was cut off could unseat a living leader.
    if (!m.transfer && protectsLeader(s)) {
      send(s, from, { kind: "vote-answer", term: s.term, granted: false });
      return;
    }
    becomeFollower(s, m.term, "");
  }
  // A server that is no member by our knowledge is judged by its log alone: it may know of a
  // newer configuration, and without our vote that one might never get a leader.
  const granted = m.term === s.term && s.role === "follower" && isUpToDate(s, m) &&
    (s.votedFor === from || (s.votedFor === "" && (m.transfer || !protectsLeader(s))));
  if (granted) {
    if (s.votedFor === "") setTerm(s, s.term, from);
    resetElectionTimer(s);
  }
  send(s, from, { kind: "vote-answer", term: s.term, granted });
}

/** A leader, or a follower whose promise to one still holds. */
function protectsLeader(s: RaftState): boolean {
  return s.role === "leader" || s.nowMs < s.promiseUntilMs;
}

function isUpToDate(s: RaftState, m: PreVote | Vote): boolean {
  const promised = s.promised;
  if (promised) {
    const reaches = m.lastTerm > promised.term ||
      (m.lastTerm === promised.term && m.lastIndex >= promised.index);
    if (!reaches) return false;
  }
  return s.log.isUpToDate(m.lastTerm, m.lastIndex);
}
