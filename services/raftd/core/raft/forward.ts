// A follower's callers: their proposals go to the leader in one batch, their reads only ask it for
// an index. An answer that does not come leaves a proposal's outcome open.

import type { Proposal, ProposeAnswer, ReadIndexAnswer, ReadMode, Refusal } from "./messages.ts";
import { type Forwarded, type RaftState, send, takeNumber } from "./state.ts";

export function forwardProposals(s: RaftState, proposals: readonly Proposal[]): void {
  const ids = proposals.map((proposal) => proposal.id);
  if (s.leader === "") return refuseProposals(s, ids, "not-leader", "no cluster leader");
  if (s.forwarded.size >= s.settings.forwardedMax) {
    return refuseProposals(s, ids, "overloaded", "too many batches are with the leader");
  }
  const batch = takeNumber(s);
  s.forwarded.set(batch, { kind: "proposals", ids, to: s.leader, sentMs: s.nowMs });
  send(s, s.leader, { kind: "propose", batch, proposals });
}

export function forwardReads(s: RaftState, ids: readonly number[], mode: ReadMode): void {
  if (s.leader === "" || s.forwarded.size >= s.settings.forwardedMax) {
    const refusal = s.leader === "" ? "not-leader" : "overloaded";
    s.effects.push({ kind: "refuse-reads", ids, refusal, leader: s.leader });
    return;
  }
  const batch = takeNumber(s);
  s.forwarded.set(batch, { kind: "reads", ids, to: s.leader, sentMs: s.nowMs });
  send(s, s.leader, { kind: "read-index", batch, mode });
}

export function onProposeAnswer(s: RaftState, from: string, m: ProposeAnswer): void {
  const forwarded = takeForwarded(s, from, m.batch, "proposals");
  if (!forwarded) return;
  const ids = forwarded.ids;
  if (m.refusal === "") {
    s.effects.push({ kind: "answer-proposals", ids, firstIndex: m.firstIndex, term: m.term });
  } else {
    const message = `the leader refused: ${m.refusal}`;
    s.effects.push({
      kind: "refuse-proposals",
      ids,
      refusal: m.refusal,
      leader: m.leader,
      message,
    });
  }
}

export function onReadIndexAnswer(s: RaftState, from: string, m: ReadIndexAnswer): void {
  const forwarded = takeForwarded(s, from, m.batch, "reads");
  if (!forwarded) return;
  const ids = forwarded.ids;
  if (m.refusal === "") s.effects.push({ kind: "answer-reads", ids, index: m.index });
  else s.effects.push({ kind: "refuse-reads", ids, refusal: m.refusal, leader: m.leader });
}

/** Gives up on what is with `peer` (or with anyone, if older than `beforeMs`). */
export function giveUpForwarded(s: RaftState, isLost: (f: Forwarded) => boolean): void {
  for (const [batch, forwarded] of s.forwarded) {
    if (!isLost(forwarded)) continue;
    s.forwarded.delete(batch);
    const ids = forwarded.ids;
    if (forwarded.kind === "proposals") {
      refuseProposals(s, ids, "lost", "the leader was lost before it answered");
    } else {
      s.effects.push({ kind: "refuse-reads", ids, refusal: "not-leader", leader: s.leader });
    }
  }
}

export function refuseProposals(
  s: RaftState,
  ids: readonly number[],
  refusal: Refusal,
  message: string,
): void {
  s.effects.push({ kind: "refuse-proposals", ids, refusal, leader: s.leader, message });
}

function takeForwarded(
  s: RaftState,
  from: string,
  batch: number,
  kind: Forwarded["kind"],
): Forwarded | undefined {
  const forwarded = s.forwarded.get(batch);
  if (!forwarded || forwarded.to !== from || forwarded.kind !== kind) return undefined;
  s.forwarded.delete(batch);
  return forwarded;
}
