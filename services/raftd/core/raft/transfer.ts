// Handing over the office: stop taking proposals, bring the target level, tell it to stand
// (dissertation 3.10). The lease ends first.

import type { Refusal, ServerId } from "./messages.ts";
import type { Progress } from "./progress.ts";
import { type RaftState, readyIndex, send } from "./state.ts";

/** Begins a transfer; the answer says why not, or "" if it is under way. */
export function beginTransfer(
  s: RaftState,
  to: ServerId | undefined,
  id: number | undefined,
): Refusal | "" {
  const leadership = s.leadership;
  if (!leadership) return "not-leader";
  if (leadership.transfer) return "transferring";
  if (to === s.id) return "invalid";
  const target = to === undefined ? bestTarget(s) : leadership.peers.get(to);
  if (!target || !s.members.isVoter(target.id)) return to === undefined ? "not-ready" : "invalid";
  if (readyIndex(s) === 0) return "not-ready";
  const deadlineMs = s.nowMs + s.settings.electionMaxMs;
  leadership.transfer = { to: target.id, id, deadlineMs };
  continueTransfer(s, target);
  return "";
}

/** The voter with the longest log; of equals the one heard last. */
function bestTarget(s: RaftState): Progress | undefined {
  let best: Progress | undefined;
  for (const peer of s.leadership!.peers.values()) {
    if (!s.members.isVoter(peer.id)) continue;
    if (s.nowMs - peer.contactMs > s.settings.electionMaxMs) continue;
    const ahead = !best || peer.matchIndex > best.matchIndex ||
      (peer.matchIndex === best.matchIndex && peer.contactMs > best.contactMs);
    if (ahead) best = peer;
  }
  return best;
}

/** Tells the target to stand once it has the whole log; again with every round, for messages get
 *  lost. */
export function continueTransfer(s: RaftState, peer: Progress): void {
  const leadership = s.leadership!;
  if (leadership.transfer?.to !== peer.id || peer.matchIndex < s.log.lastIndex) return;
  tellToStand(s, peer.id);
}

export function tellToStand(s: RaftState, to: ServerId): void {
  const leadership = s.leadership!;
  leadership.leaseBlocks.set(to, leadership.round);
  send(s, to, { kind: "timeout-now", term: s.term, round: leadership.round });
}

/** The target did not stand in time. True if the transfer was the leader's own wish. */
export function expireTransfer(s: RaftState): boolean {
  const transfer = s.leadership!.transfer;
  if (!transfer || s.nowMs < transfer.deadlineMs) return false;
  s.leadership!.transfer = undefined;
  if (transfer.id === undefined) return true;
  s.effects.push({ kind: "answer-transfer", id: transfer.id, refusal: "not-ready" });
  return false;
}

/** A peer that answers a later round in this term does not stand any more. */
export function liftLeaseBlock(s: RaftState, peer: ServerId, round: number): void {
  const blocks = s.leadership!.leaseBlocks;
  const blocked = blocks.get(peer);
  if (blocked !== undefined && round > blocked && !s.leadership!.transfer) blocks.delete(peer);
}
