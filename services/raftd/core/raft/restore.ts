// From what the shell found on disk to a server that has just started.

import type { Random } from "#shared/random.ts";
import { Disk } from "./disk.ts";
import { invariant } from "./invariant.ts";
import { Log } from "./log.ts";
import type { Restored } from "./machine.ts";
import { Membership } from "./membership.ts";
import type { ServerId } from "./messages.ts";
import type { RaftSettings } from "./settings.ts";
import { isAlone, type RaftState, resetElectionTimer } from "./state.ts";

export function restoredState(
  id: ServerId,
  settings: RaftSettings,
  random: Random,
  restored: Restored,
): RaftState {
  const { applied, base, hardState } = restored;
  const log = new Log(base, restored.lastIndex, restored.termStarts, restored.tail, restored.steps);
  const disk = new Disk(log.lastIndex);
  invariant(applied.index >= base.index, "a state that reaches the log", applied.index, base.index);
  // An install that was cut off after the state was switched: the old log is of no more use.
  if (log.termAt(applied.index) !== applied.term) {
    log.reset(applied);
    disk.reset(applied);
  }
  invariant(hardState.term >= log.lastTerm, "a term of the log or later", hardState.term);
  const configurations = restored.configurations.filter((c) => c.index <= log.lastIndex);
  return {
    id,
    settings,
    random,
    log,
    disk,
    members: new Membership(configurations),
    effects: [],
    nowMs: 0,
    wallOffsetMs: 0,
    term: hardState.term,
    votedFor: hardState.votedFor,
    role: "follower",
    leader: "",
    termLeader: "",
    commitIndex: applied.index,
    appliedIndex: applied.index,
    snapshotIndex: 0,
    stateBytes: undefined,
    stampMs: Math.max(restored.stampMs, restored.tail.at(-1)?.stampMs ?? 0),
    promiseUntilMs: 0,
    electionAtMs: Infinity,
    contactMs: 0,
    hadGrace: false,
    verifiedIndex: 0,
    leaderRound: 0,
    isDiskFull: false,
    isHalted: false,
    promised: restored.promised,
    candidacy: undefined,
    leadership: undefined,
    incoming: undefined,
    forwarded: new Map(),
    nextNumber: random.uint32() * 0x1_0000 + 1,
    published: {
      role: "follower",
      term: -1,
      leader: "",
      readyIndex: 0,
      commitIndex: 0,
      leaseUntilMs: 0,
      configurationIndex: -1,
    },
  };
}

/** Before it was restarted this server may have promised a leader to help no other, so it waits
 *  out the longest promise. Only one that was alone from the first entry on had nobody to promise
 *  anything to. */
export function start(s: RaftState, wallNowMs: number): void {
  s.wallOffsetMs = wallNowMs - s.nowMs;
  s.contactMs = s.nowMs;
  s.promiseUntilMs = isAlone(s) ? s.nowMs : s.nowMs + s.settings.electionMinMs;
  resetElectionTimer(s);
  if (isAlone(s)) s.electionAtMs = s.nowMs;
}
