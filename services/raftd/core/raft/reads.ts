// Which index a linearizable read must have seen: by lease for `default`, by a round of heartbeats
// that began after the question for `consistent` (ReadIndex, dissertation 6.4).

import { leaseUntilMs } from "./lease.ts";
import type { ReadMode, Refusal, ServerId } from "./messages.ts";
import {
  type Asker,
  majorityOfVoters,
  type PendingRead,
  type RaftState,
  readyIndex,
  send,
} from "./state.ts";

/** Rounds for reads that may be under way at once; more reads share the next one. */
const ROUNDS_MAX = 2;

/** The leader is asked. */
export function askLeader(s: RaftState, asker: Asker, mode: ReadMode): void {
  const leadership = s.leadership!;
  if (leadership.reads.length >= s.settings.forwardedMax) return refuse(s, asker, "overloaded");
  const read: PendingRead = { asker, mode, index: -1, round: 0 };
  if (readyIndex(s) === 0 || !begin(s, read)) leadership.reads.push(read);
}

/** Gives a read its index; true if it could be answered at once. */
function begin(s: RaftState, read: PendingRead): boolean {
  const leadership = s.leadership!;
  read.index = s.commitIndex;
  if (read.mode === "default" && leaseUntilMs(s) > 0) {
    answer(s, read.asker, read.index);
    return true;
  }
  read.round = leadership.round + 1;
  leadership.wantsRound = true;
  return false;
}

/** The term's first entry is committed: reads that came before it may begin. */
export function beginWaitingReads(s: RaftState): void {
  const leadership = s.leadership!;
  leadership.reads = leadership.reads.filter((read) => read.index >= 0 || !begin(s, read));
}

/** Whether a round of heartbeats should go out now for the sake of reads. */
export function isRoundDue(s: RaftState): boolean {
  const leadership = s.leadership!;
  if (!leadership.wantsRound) return false;
  return leadership.round - confirmedRound(s) < ROUNDS_MAX;
}

function confirmedRound(s: RaftState): number {
  return majorityOfVoters(s, s.leadership!.round, (peer) => peer.ackedRound);
}

/** Answers what the rounds so far confirm. */
export function answerConfirmedReads(s: RaftState): void {
  const leadership = s.leadership!;
  if (leadership.reads.length === 0) return;
  const round = confirmedRound(s);
  leadership.reads = leadership.reads.filter((read) => {
    if (read.index < 0 || read.round > round) return true;
    answer(s, read.asker, read.index);
    return false;
  });
}

/** The leadership ends: nobody is left waiting. */
export function refuseWaitingReads(s: RaftState): void {
  for (const read of s.leadership!.reads) refuse(s, read.asker, "not-leader");
  s.leadership!.reads = [];
}

function answer(s: RaftState, asker: Asker, index: number): void {
  if (asker.kind === "local") {
    s.effects.push({ kind: "answer-reads", ids: asker.ids, index });
  } else {
    const batch = asker.batch;
    send(s, asker.from, { kind: "read-index-answer", batch, refusal: "", index, leader: s.id });
  }
}

export function refuse(s: RaftState, asker: Asker, refusal: Refusal): void {
  const leader: ServerId = s.leader === s.id && refusal === "not-leader" ? "" : s.leader;
  if (asker.kind === "local") {
    s.effects.push({ kind: "refuse-reads", ids: asker.ids, refusal, leader });
  } else {
    const batch = asker.batch;
    send(s, asker.from, { kind: "read-index-answer", batch, refusal, index: 0, leader });
  }
}
