// For how long the leader may answer reads alone: the shortest promise among a majority, counted
// from the time of sending, less a margin (dissertation 6.4.1).

import type { Progress } from "./progress.ts";
import { majorityOfVoters, type RaftState, readyIndex } from "./state.ts";

/** A peer answered what was sent at `sentMs`, and promised. */
export function noteContact(
  s: RaftState,
  peer: Progress,
  sentMs: number,
  promiseMs: number,
): void {
  peer.contactMs = s.nowMs;
  if (sentMs < s.leadership!.leaseFloorMs) return;
  const untilMs = sentMs + leaseOf(s, promiseMs);
  if (untilMs > peer.leaseUntilMs) peer.leaseUntilMs = untilMs;
}

function leaseOf(s: RaftState, promiseMs: number): number {
  return promiseMs * (1 - s.settings.clockDriftMax) - s.settings.leaseMarginMs;
}

/** The end of the lease on the clock of `step`, 0 if there is none. */
export function leaseUntilMs(s: RaftState): number {
  const leadership = s.leadership;
  if (!leadership || readyIndex(s) === 0) return 0;
  if (leadership.transfer || leadership.leaseBlocks.size > 0) return 0;
  const own = s.nowMs + leaseOf(s, s.settings.electionMinMs);
  const untilMs = majorityOfVoters(s, own, (peer) => peer.leaseUntilMs);
  return untilMs > s.nowMs ? untilMs : 0;
}

/** After a pause or a step of the clock, nothing measured before it counts. */
export function voidLease(s: RaftState): void {
  const leadership = s.leadership;
  if (!leadership) return;
  leadership.leaseFloorMs = s.nowMs;
  for (const peer of leadership.peers.values()) peer.leaseUntilMs = 0;
}
