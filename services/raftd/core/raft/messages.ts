// What goes into and comes out of the Raft core: entries, messages between servers, inputs (facts)
// and effects (orders). Messages are flat, so that the wire form is a direct encoding of them.

/** "" where a server id is expected means: none known. */
export type ServerId = string;

export type EntryKind = "command" | "no-op" | "configuration" | "barrier";

/** One log entry. `bytes` is opaque except for `configuration` (see membership.ts). */
export interface Entry {
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  /** The replicated clock: never falls along the log. Apply takes its time from here. */
  readonly stampMs: number;
  /** The server whose shell proposed it, and that shell's number for it: lets it match an applied
   *  entry to the caller that waits. "" and 0 for what the core itself appends. */
  readonly origin: ServerId;
  readonly id: number;
  readonly bytes: Uint8Array;
}

export interface LogPosition {
  readonly index: number;
  readonly term: number;
}

export type Suffrage = "voter" | "nonvoter";

export interface Server {
  readonly id: ServerId;
  readonly address: string;
  readonly suffrage: Suffrage;
}

/** The members as of the entry at `index`. Servers are sorted by id. */
export interface Configuration {
  readonly index: number;
  readonly servers: readonly Server[];
}

/** `prevIndex` guards a change: it is refused unless the configuration in force has this index. */
export type ConfigurationChange =
  | { readonly kind: "add-nonvoter"; readonly id: ServerId; readonly address: string }
  | { readonly kind: "add-voter"; readonly id: ServerId; readonly address: string }
  | { readonly kind: "promote"; readonly id: ServerId }
  | { readonly kind: "demote"; readonly id: ServerId }
  | { readonly kind: "remove"; readonly id: ServerId };

export interface Snapshot {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
}

/** What one caller wants in the log. The id is the shell's own number, unique on its server. */
export interface Proposal {
  readonly id: number;
  readonly kind: "command" | "barrier";
  readonly bytes: Uint8Array;
}

export type ReadMode = "default" | "consistent";

/** Why the core says no. Only `lost` leaves the outcome open; all others mean: was not done. */
export type Refusal =
  | "not-leader"
  | "transferring"
  | "overloaded"
  | "disk-full"
  | "not-ready"
  | "invalid"
  | "lost";

/** `term` is the candidate's term + 1, which it has not adopted. */
export interface PreVote {
  readonly kind: "pre-vote";
  readonly term: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
}
/** `term` is the voter's own; `askedTerm` repeats the question's. */
export interface PreVoteAnswer {
  readonly kind: "pre-vote-answer";
  readonly term: number;
  readonly askedTerm: number;
  readonly granted: boolean;
}
export interface Vote {
  readonly kind: "vote";
  readonly term: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  /** The old leader asked for this election, so voters need not protect it. */
  readonly transfer: boolean;
}
export interface VoteAnswer {
  readonly kind: "vote-answer";
  readonly term: number;
  readonly granted: boolean;
}
/** `sentMs` is on the leader's monotonic clock and only echoed. */
export interface Append {
  readonly kind: "append";
  readonly term: number;
  readonly prevIndex: number;
  readonly prevTerm: number;
  readonly entries: readonly Entry[];
  readonly commitIndex: number;
  readonly sentMs: number;
}
/** Accepted: durable up to `matchIndex`. Otherwise the log disagrees at the question's prevIndex:
 *  `conflictTerm` is the term found there (0: the log ends before), `conflictIndex` the first
 *  index of that term (or the last index + 1; 0 if the question was of an older term). */
export interface AppendAnswer {
  readonly kind: "append-answer";
  readonly term: number;
  readonly accepted: boolean;
  readonly matchIndex: number;
  readonly prevIndex: number;
  readonly conflictTerm: number;
  readonly conflictIndex: number;
  readonly sentMs: number;
  readonly promiseMs: number;
}
export interface Heartbeat {
  readonly kind: "heartbeat";
  readonly term: number;
  /** Grows with every round of heartbeats in this term. */
  readonly round: number;
  readonly commitIndex: number;
  readonly sentMs: number;
}
/** A heartbeat of an older term is answered with round 0, which confirms nothing: its sender may
 *  lead again by now, with rounds of its own. `promiseMs`: for this long after the heartbeat came in, the voter helps no other server to
 *  become leader. `verifiedIndex`: its log equals the leader's up to here, in memory;
 *  `matchIndex`: the durable part of that. */
export interface HeartbeatAnswer {
  readonly kind: "heartbeat-answer";
  readonly term: number;
  readonly round: number;
  readonly sentMs: number;
  readonly promiseMs: number;
  readonly verifiedIndex: number;
  readonly matchIndex: number;
}
/** Void once the target has seen a heartbeat of a later round: the leader changed its mind. */
export interface TimeoutNow {
  readonly kind: "timeout-now";
  readonly term: number;
  readonly round: number;
}
/** A piece of the sender's state file. `transfer` names one copy of it, so that pieces of two
 *  copies never mix. */
export interface SnapshotChunk {
  readonly kind: "snapshot-chunk";
  readonly term: number;
  readonly transfer: number;
  readonly snapshot: Snapshot;
  readonly offset: number;
  readonly totalBytes: number;
  readonly isLast: boolean;
  readonly bytes: Uint8Array;
  readonly sentMs: number;
}
/** `nextOffset` is where the sender goes on; `matchIndex` > 0 says that no more is needed. */
export interface SnapshotAnswer {
  readonly kind: "snapshot-answer";
  readonly term: number;
  readonly transfer: number;
  readonly nextOffset: number;
  readonly matchIndex: number;
  readonly sentMs: number;
  readonly promiseMs: number;
}
/** A follower's callers' proposals. They get consecutive indexes or are all refused. */
export interface Propose {
  readonly kind: "propose";
  readonly batch: number;
  readonly proposals: readonly Proposal[];
}
export interface ProposeAnswer {
  readonly kind: "propose-answer";
  readonly batch: number;
  /** "" when accepted. */
  readonly refusal: Refusal | "";
  readonly term: number;
  readonly firstIndex: number;
  readonly leader: ServerId;
}
/** Asks which index a read begun now must have seen. */
export interface ReadIndex {
  readonly kind: "read-index";
  readonly batch: number;
  readonly mode: ReadMode;
}
export interface ReadIndexAnswer {
  readonly kind: "read-index-answer";
  readonly batch: number;
  readonly refusal: Refusal | "";
  readonly index: number;
  readonly leader: ServerId;
}

export type Message =
  | PreVote
  | PreVoteAnswer
  | Vote
  | VoteAnswer
  | Append
  | AppendAnswer
  | Heartbeat
  | HeartbeatAnswer
  | TimeoutNow
  | SnapshotChunk
  | SnapshotAnswer
  | Propose
  | ProposeAnswer
  | ReadIndex
  | ReadIndexAnswer;
