// All that one Raft server knows, and the few moves that every role makes with it.

import type { Random } from "#shared/random.ts";
import type { Disk } from "./disk.ts";
import { invariant } from "./invariant.ts";
import type { Log } from "./log.ts";
import type { Effect, Role } from "./machine.ts";
import { decodeConfiguration, type Membership } from "./membership.ts";
import type { Entry, LogPosition, Message, ReadMode, ServerId, Snapshot } from "./messages.ts";
import type { Progress } from "./progress.ts";
import { majorityValue } from "./quorum.ts";
import type { RaftSettings } from "./settings.ts";

/** Who waits for an answer: callers of this server, or a follower that asked for its own. */
export type Asker =
  | { readonly kind: "local"; readonly ids: readonly number[] }
  | { readonly kind: "peer"; readonly from: ServerId; readonly batch: number };

export interface PendingRead {
  readonly asker: Asker;
  readonly mode: ReadMode;
  /** Reads as of this index; -1 until the leader may say. */
  index: number;
  /** Confirmed once a majority answered this round or a later one. */
  round: number;
}

export interface Candidacy {
  readonly phase: "pre-vote" | "vote";
  readonly votes: Map<ServerId, boolean>;
  /** The write of the own vote, which counts only when it is durable; 0 in a pre-vote. */
  readonly ownVoteSeq: number;
}

export interface Transfer {
  readonly to: ServerId;
  /** Who is to be told; undefined when the leader itself decided it. */
  readonly id: number | undefined;
  readonly deadlineMs: number;
}

export interface Leadership {
  /** Index of the no-op that opened the term. */
  readonly firstIndex: number;
  readonly peers: Map<ServerId, Progress>;
  round: number;
  heartbeatAtMs: number;
  wantsRound: boolean;
  reads: PendingRead[];
  transfer: Transfer | undefined;
  /** Peers that were told to stand and may yet do so, with the round of that message: no lease
   *  until they have answered a later one. */
  readonly leaseBlocks: Map<ServerId, number>;
  uncommitted: { readonly lastIndex: number; readonly bytes: number }[];
  uncommittedBytes: number;
  /** No step-down for lack of contact before this. */
  graceUntilMs: number;
  /** Answers to what was sent before this extend no lease. */
  leaseFloorMs: number;
}

/** A snapshot that comes in. */
export interface Incoming {
  readonly from: ServerId;
  readonly transfer: number;
  readonly snapshot: Snapshot;
  nextOffset: number;
  isWriting: boolean;
  gotLast: boolean;
  isInstalling: boolean;
  sentMs: number;
}

/** A follower's callers whose batch is with the leader. */
export interface Forwarded {
  readonly kind: "proposals" | "reads";
  readonly ids: readonly number[];
  readonly to: ServerId;
  readonly sentMs: number;
}

export interface Published {
  role: Role;
  term: number;
  leader: ServerId;
  readyIndex: number;
  commitIndex: number;
  leaseUntilMs: number;
  configurationIndex: number;
}

export interface RaftState {
  readonly id: ServerId;
  readonly settings: RaftSettings;
  readonly random: Random;
  readonly log: Log;
  readonly disk: Disk;
  readonly members: Membership;
  effects: Effect[];
  nowMs: number;
  /** Calendar minus monotonic clock. */
  wallOffsetMs: number;
  term: number;
  votedFor: ServerId;
  role: Role;
  leader: ServerId;
  /** The one leader seen in the present term, even if it was given up since. */
  termLeader: ServerId;
  commitIndex: number;
  appliedIndex: number;
  /** State is durable up to here, so the log below may go. */
  snapshotIndex: number;
  /** What the state takes on the disk, as far as that was told. */
  stateBytes: number | undefined;
  stampMs: number;
  /** This server helps no other leader before this. Outlives changes of term and role. */
  promiseUntilMs: number;
  electionAtMs: number;
  contactMs: number;
  /** A late election timer was let pass once since the leader was heard. */
  hadGrace: boolean;
  /** The log equals that of the term's leader up to here. */
  verifiedIndex: number;
  /** The latest heartbeat round seen of the term's leader. */
  leaderRound: number;
  isDiskFull: boolean;
  isHalted: boolean;
  promised: LogPosition | undefined;
  candidacy: Candidacy | undefined;
  leadership: Leadership | undefined;
  incoming: Incoming | undefined;
  forwarded: Map<number, Forwarded>;
  /** Numbers for batches and transfers; begins at random, so that answers meant for an earlier
   *  run of this server fit nothing. */
  nextNumber: number;
  /** What the shell was last told. */
  published: Published;
}

/** Sends once the present term and vote are durable, for every message speaks under them. */
export function send(s: RaftState, to: ServerId, message: Message): void {
  sendAfter(s, s.disk.hardStateSeq, to, message);
}

export function sendAfter(s: RaftState, seq: number, to: ServerId, message: Message): void {
  if (s.disk.isDurable(seq)) s.effects.push({ kind: "send", to, message });
  else s.disk.hold(seq, to, message);
}

export function setTerm(s: RaftState, term: number, votedFor: ServerId): void {
  invariant(term >= s.term, "terms that never fall", s.term, term);
  if (term > s.term) {
    s.termLeader = "";
    s.verifiedIndex = 0;
    s.leaderRound = 0;
  } else {
    invariant(s.votedFor === "" || s.votedFor === votedFor, "one vote a term", s.votedFor);
  }
  s.term = term;
  s.votedFor = votedFor;
  s.disk.writeHardState({ term, votedFor });
}

/** Believes `id` to be the leader of the present term. */
export function noteLeader(s: RaftState, id: ServerId): void {
  invariant(
    s.termLeader === "" || s.termLeader === id,
    `one leader in term ${s.term}`,
    s.termLeader,
    id,
  );
  s.termLeader = id;
  s.leader = id;
}

export function appendEntries(s: RaftState, entries: readonly Entry[]): void {
  if (entries.length === 0) return;
  s.log.append(entries);
  s.disk.writeEntries(entries);
  for (const entry of entries) {
    if (entry.stampMs > s.stampMs) s.stampMs = entry.stampMs;
    if (entry.kind !== "configuration") continue;
    s.members.append(decodeConfiguration(entry.index, entry.bytes));
  }
}

export function commitTo(s: RaftState, index: number): void {
  if (index <= s.commitIndex) return;
  invariant(index <= s.log.lastIndex, "to commit within the log", index, s.log.lastIndex);
  s.commitIndex = index;
  s.members.commit(index);
}

/** The leader's first entry of its term, once that is committed; else 0. */
export function readyIndex(s: RaftState): number {
  const first = s.leadership?.firstIndex;
  return first !== undefined && s.commitIndex >= first ? first : 0;
}

/** What a majority of voters has reached, by the leader's knowledge of each. */
export function majorityOfVoters(
  s: RaftState,
  own: number,
  reached: (peer: Progress) => number,
): number {
  const values: number[] = [];
  for (const id of s.members.voters) {
    if (id === s.id) values.push(own);
    else {
      const peer = s.leadership!.peers.get(id);
      values.push(peer ? reached(peer) : 0);
    }
  }
  return majorityValue(values);
}

/** A new random wait for a leader, drawn at every reset so that two servers part soon. */
export function resetElectionTimer(s: RaftState): void {
  const { electionMinMs, electionMaxMs } = s.settings;
  s.electionAtMs = s.nowMs + s.random.between(electionMinMs, electionMaxMs);
}

/** Alone from the first entry on: nobody else can lead or ever was promised anything. */
export function isAlone(s: RaftState): boolean {
  const { latest } = s.members;
  return latest.index === 1 && latest.servers.length === 1 && s.members.isVoter(s.id);
}

export function wallMs(s: RaftState): number {
  return Math.max(s.stampMs, Math.floor(s.nowMs + s.wallOffsetMs));
}

export function takeNumber(s: RaftState): number {
  return s.nextNumber++;
}
