// How much of the log goes once the state is durable without it: all but a trail, so that a follower
// that comes back from a restart needs no snapshot (spec: raft 9).

import type { RaftState } from "./state.ts";

/** The trail may weigh this part of the state: sending the state costs less than a longer one. */
const TRAIL_PART = 1 / 8;
const TRAIL_BYTES_MIN = 1024 * 1024;
/** For peers that are heard and behind, entries that all the others have are kept up to this, or up
 *  to the weight of the state if that is more. */
const LAG_BYTES_MIN = 32 * 1024 * 1024;
/** A transfer pins the log behind its snapshot for at most this long. */
const PIN_MS = 600_000;

/** State is durable up to `snapshotIndex`: lets go of the log before it, but for a trail. */
export function compact(s: RaftState): void {
  const { trailingEntries } = s.settings;
  const trailed = Math.max(s.log.lastIndex - trailingEntries, heavyIndex(s));
  const through = Math.min(s.snapshotIndex, trailed, pinnedIndex(s), s.disk.persistedIndex);
  if (through <= s.log.base.index) return;
  s.log.compactThrough(through);
  const { index, term } = s.log.base;
  s.effects.push({ kind: "compact-log", throughIndex: index, throughTerm: term });
}

/** Up to where the log is too heavy to be kept. A peer that is being sent entries must not lose
 *  those that come next, or under a load that lasts it would need one snapshot after the other. */
function heavyIndex(s: RaftState): number {
  if (s.stateBytes === undefined) return 0;
  const trail = s.log.lastIndexBefore(Math.max(TRAIL_BYTES_MIN, s.stateBytes * TRAIL_PART));
  const lag = s.log.lastIndexBefore(Math.max(LAG_BYTES_MIN, s.stateBytes));
  return Math.max(lag, Math.min(trail, neededIndex(s)));
}

/** What every peer has that is heard. */
function neededIndex(s: RaftState): number {
  let needed = Infinity;
  for (const peer of s.leadership?.peers.values() ?? []) {
    const isHeard = s.nowMs - peer.contactMs <= s.settings.electionMaxMs;
    if (isHeard && peer.state !== "snapshot") needed = Math.min(needed, peer.matchIndex);
  }
  return needed;
}

/** The lowest index that a transfer still needs the log to follow on from. */
function pinnedIndex(s: RaftState): number {
  let pinned = Infinity;
  for (const { outgoing } of s.leadership?.peers.values() ?? []) {
    if (!outgoing || s.nowMs - outgoing.startedMs >= PIN_MS) continue;
    pinned = Math.min(pinned, outgoing.snapshot?.index ?? s.log.base.index);
  }
  return pinned;
}
