// The candidate: asks first whether it could win (pre-vote), and only then raises the term.

import { becomeFollower } from "./follower.ts";
import { giveUpForwarded } from "./forward.ts";
import { becomeLeader } from "./leader.ts";
import type { PreVoteAnswer, ServerId, VoteAnswer } from "./messages.ts";
import { countVotes } from "./quorum.ts";
import { type RaftState, resetElectionTimer, send, setTerm } from "./state.ts";

/** Only a voter with an undamaged log stands, and not while its state is being replaced. One that
 *  an uncommitted change takes the vote from still stands: it may be the only one with the longest
 *  log, and then nobody else could finish that change (dissertation 4.2.2). */
export function mayStand(s: RaftState): boolean {
  if (!s.members.mayBeVoter(s.id, s.commitIndex)) return false;
  if (s.incoming?.isInstalling || s.isHalted) return false;
  // A vote that outlives the first entry would leave a server that is neither blank nor a member.
  if (s.disk.persistedIndex === 0) return false;
  const promised = s.promised;
  return !promised || s.log.lastTerm > promised.term ||
    (s.log.lastTerm === promised.term && s.log.lastIndex >= promised.index);
}

/** No leader was heard in time. */
export function onElectionTimeout(s: RaftState): void {
  resetElectionTimer(s);
  s.leader = "";
  const candidacy = s.candidacy;
  // The own vote is still on its way to the disk: another term would only add to the queue.
  if (candidacy && !s.disk.isDurable(candidacy.ownVoteSeq)) return;
  s.candidacy = undefined;
  if (!mayStand(s)) {
    s.role = "follower";
    return;
  }
  standForPreVote(s);
}

function standForPreVote(s: RaftState): void {
  s.role = "candidate";
  s.candidacy = { phase: "pre-vote", votes: new Map([[s.id, true]]), ownVoteSeq: 0 };
  const { lastIndex, lastTerm } = s.log;
  for (const to of s.members.voters) {
    if (to !== s.id) send(s, to, { kind: "pre-vote", term: s.term + 1, lastIndex, lastTerm });
  }
  countPreVotes(s);
}

/** The real election. `transfer`: the leader asked for it, so its voters let it go. */
export function standForElection(s: RaftState, transfer: boolean): void {
  resetElectionTimer(s);
  setTerm(s, s.term + 1, s.id);
  giveUpForwarded(s, () => true);
  s.role = "candidate";
  s.leader = "";
  s.candidacy = { phase: "vote", votes: new Map(), ownVoteSeq: s.disk.hardStateSeq };
  const { lastIndex, lastTerm } = s.log;
  for (const to of s.members.voters) {
    if (to !== s.id) send(s, to, { kind: "vote", term: s.term, lastIndex, lastTerm, transfer });
  }
}

export function onPreVoteAnswer(s: RaftState, from: ServerId, m: PreVoteAnswer): void {
  if (!m.granted && m.term > s.term) return becomeFollower(s, m.term, "");
  if (s.candidacy?.phase !== "pre-vote" || m.askedTerm !== s.term + 1) return;
  s.candidacy.votes.set(from, m.granted);
  countPreVotes(s);
}

function countPreVotes(s: RaftState): void {
  if (countVotes(s.members.voters, s.candidacy!.votes) === "won") standForElection(s, false);
}

export function onVoteAnswer(s: RaftState, from: ServerId, m: VoteAnswer): void {
  if (m.term > s.term) return becomeFollower(s, m.term, "");
  if (s.candidacy?.phase !== "vote" || m.term !== s.term) return;
  s.candidacy.votes.set(from, m.granted);
  countOwnElection(s);
}

/** The disk may have just made the own vote count. */
export function countOwnElection(s: RaftState): void {
  const candidacy = s.candidacy;
  if (candidacy?.phase !== "vote" || !s.disk.isDurable(candidacy.ownVoteSeq)) return;
  candidacy.votes.set(s.id, true);
  if (countVotes(s.members.voters, candidacy.votes) === "won") becomeLeader(s);
}
