// The border of the Raft core with its shell: inputs are facts, effects are orders. The shell's
// duties are told with each effect.

import type { LogStep } from "./log-weight.ts";
import type {
  Configuration,
  ConfigurationChange,
  Entry,
  LogPosition,
  Message,
  Proposal,
  ReadMode,
  Refusal,
  ServerId,
  Snapshot,
} from "./messages.ts";

export type Input =
  /** First input after construction, once. */
  | { readonly kind: "started"; readonly wallMs: number }
  /** Comes at `raft.deadlineMs` or earlier; early is harmless. `wallMs` keeps the replicated stamp
   *  near the calendar and shows steps between the clocks. */
  | { readonly kind: "timer-fired"; readonly wallMs: number }
  | { readonly kind: "received"; readonly from: ServerId; readonly message: Message }
  /** The link to a peer broke or could not be opened. */
  | { readonly kind: "peer-unreachable"; readonly peer: ServerId }
  /** Everything up to and including `persist` number `seq` is on disk. */
  | { readonly kind: "persisted"; readonly seq: number }
  /** The log can no longer be trusted to keep what it is given. Ends in `halt`. */
  | { readonly kind: "persist-failed"; readonly reason: string }
  /** The disk reserve was reached, or is free again. */
  | { readonly kind: "disk-full-changed"; readonly isFull: boolean }
  | { readonly kind: "proposed"; readonly proposals: readonly Proposal[] }
  | { readonly kind: "read-requested"; readonly ids: readonly number[]; readonly mode: ReadMode }
  /** Answered like a proposal. Only a leader takes it; it is not forwarded. */
  | {
    readonly kind: "configuration-change-proposed";
    readonly id: number;
    readonly change: ConfigurationChange;
    readonly prevIndex?: number;
  }
  /** The first configuration, for a blank server. Answered like a proposal. */
  | {
    readonly kind: "bootstrap-requested";
    readonly id: number;
    readonly configuration: Configuration;
  }
  /** Without `to`, the voter with the longest log is chosen. Answered by `answer-transfer`. */
  | { readonly kind: "transfer-requested"; readonly id: number; readonly to?: ServerId }
  /** The state thread has applied up to here. May be sampled. */
  | { readonly kind: "applied"; readonly index: number }
  /** State is durable up to `index` (a finished checkpoint), so the log below may go. */
  | {
    readonly kind: "snapshot-taken";
    readonly index: number;
    /** What the state takes on the disk, by which the trail of the log is measured; without it the
     *  trail is only counted. */
    readonly stateBytes?: number;
  }
  /** Answer to `read-log`: entries from `fromIndex` on, at least one, or none if they are gone. */
  | {
    readonly kind: "log-read";
    readonly peer: ServerId;
    readonly fromIndex: number;
    readonly entries: readonly Entry[];
  }
  /** Answer to `read-snapshot`. */
  | {
    readonly kind: "snapshot-read";
    readonly peer: ServerId;
    readonly transfer: number;
    readonly snapshot: Snapshot;
    readonly offset: number;
    readonly totalBytes: number;
    readonly isLast: boolean;
    readonly bytes: Uint8Array;
  }
  | { readonly kind: "snapshot-read-failed"; readonly peer: ServerId; readonly transfer: number }
  /** Answers to `write-snapshot` and `install-snapshot`. */
  | {
    readonly kind: "snapshot-written";
    readonly from: ServerId;
    readonly transfer: number;
    readonly nextOffset: number;
  }
  | {
    readonly kind: "snapshot-installed";
    readonly from: ServerId;
    readonly transfer: number;
    /** The installed state's stamp, below which this server must never stamp an entry. */
    readonly stampMs: number;
  }
  | {
    readonly kind: "snapshot-install-failed";
    readonly from: ServerId;
    readonly transfer: number;
  };

export interface HardState {
  readonly term: number;
  readonly votedFor: ServerId;
}

/** One change on disk: first `hardState`; then, as one transaction, `reset`, `truncateFrom` and
 *  `entries`. Several may share one sync; they are never reordered. */
export interface Persist {
  readonly kind: "persist";
  /** Consecutive from 1. */
  readonly seq: number;
  readonly hardState?: HardState;
  /** Drop every entry; the log begins again after this position. */
  readonly reset?: LogPosition;
  /** Drop the entries from this index on. */
  readonly truncateFrom?: number;
  readonly entries: readonly Entry[];
}

export type Role = "follower" | "candidate" | "leader";

export type Effect =
  | Persist
  /** May go out at once: what must wait for the disk is held back by the core. Messages to one
   *  peer should keep their order; losing them is allowed. */
  | { readonly kind: "send"; readonly to: ServerId; readonly message: Message }
  /** Committed up to here. Apply in order what is also durable in the local log. */
  | { readonly kind: "commit"; readonly index: number }
  /** The proposals are in the leader's log from `firstIndex` on, in their order. Each is done once
   *  the local state applied that index with that term; another term there means: was not done. */
  | {
    readonly kind: "answer-proposals";
    readonly ids: readonly number[];
    readonly firstIndex: number;
    readonly term: number;
  }
  | {
    readonly kind: "refuse-proposals";
    readonly ids: readonly number[];
    readonly refusal: Refusal;
    readonly leader: ServerId;
    readonly message: string;
  }
  /** Answer these reads once the local state has applied `index`. */
  | { readonly kind: "answer-reads"; readonly ids: readonly number[]; readonly index: number }
  | {
    readonly kind: "refuse-reads";
    readonly ids: readonly number[];
    readonly refusal: Refusal;
    readonly leader: ServerId;
  }
  | { readonly kind: "answer-transfer"; readonly id: number; readonly refusal: Refusal | "" }
  /** Role, term, leader or readiness changed. `readyIndex` is the leader's first entry of its
   *  term once that is committed, else 0: duties and consistent answers begin there. */
  | {
    readonly kind: "publish-role";
    readonly role: Role;
    readonly term: number;
    readonly leader: ServerId;
    readonly readyIndex: number;
  }
  /** Until then (on the clock of `step`) this server may answer `default` reads alone, if the
   *  clock says so again after the rows were read. 0: no lease. */
  | { readonly kind: "publish-lease"; readonly untilMs: number }
  | { readonly kind: "publish-configuration"; readonly configuration: Configuration }
  /** Read entries for a peer that is behind the cache: answer with `log-read`. At least one entry
   *  even if it is larger than `bytesMax`. */
  | {
    readonly kind: "read-log";
    readonly peer: ServerId;
    readonly fromIndex: number;
    readonly countMax: number;
    readonly bytesMax: number;
  }
  /** Entries up to here may be deleted; keep this position as the log's base. */
  | { readonly kind: "compact-log"; readonly throughIndex: number; readonly throughTerm: number }
  /** Offset 0 of a new transfer: make a copy of the state as it is applied now. Answer with
   *  `snapshot-read`. */
  | {
    readonly kind: "read-snapshot";
    readonly peer: ServerId;
    readonly transfer: number;
    readonly offset: number;
    readonly bytesMax: number;
  }
  /** That copy is no longer needed. */
  | { readonly kind: "close-snapshot"; readonly peer: ServerId; readonly transfer: number }
  /** Put a piece into the incoming file; offset 0 begins a new one. Answer `snapshot-written`. */
  | {
    readonly kind: "write-snapshot";
    readonly from: ServerId;
    readonly transfer: number;
    readonly offset: number;
    readonly totalBytes: number;
    readonly bytes: Uint8Array;
  }
  /** All pieces are there: verify, sync and switch the state to it; then `snapshot-installed`.
   *  Nothing is applied in between. */
  | {
    readonly kind: "install-snapshot";
    readonly from: ServerId;
    readonly transfer: number;
    readonly snapshot: Snapshot;
  }
  /** The server must stop: its disk failed. Nothing more comes out of this core. */
  | { readonly kind: "halt"; readonly reason: string };

export interface TermStart {
  readonly term: number;
  readonly firstIndex: number;
}

/** What the shell found on disk when it opened. */
export interface Restored {
  readonly hardState: HardState;
  /** The position before the first entry that log.db still has; 0/0 for a whole log. */
  readonly base: LogPosition;
  /** Equal to base.index when there are no entries. */
  readonly lastIndex: number;
  /** Where each term begins among the entries after `base`, ascending. */
  readonly termStarts: readonly TermStart[];
  /** The newest entries, contiguous and ending at lastIndex; may be empty, saves reads later. */
  readonly tail: readonly Entry[];
  /** What the entries weigh (log-weight.ts); without it they weigh nothing. */
  readonly steps?: readonly LogStep[];
  /** The highest stamp of the log's entries and of the state. */
  readonly stampMs: number;
  /** Position that the state file has applied; 0/0 for none. */
  readonly applied: LogPosition;
  /** The state file's configuration, then those of configuration entries after it; ascending. */
  readonly configurations: readonly Configuration[];
  /** Where the log ended before damaged entries were cut off. The server then neither stands for
   *  election nor votes for a log that ends before this, until it is repaired. */
  readonly promised?: LogPosition;
}

export interface PeerStatus {
  readonly id: ServerId;
  readonly state: "probe" | "replicate" | "snapshot";
  readonly matchIndex: number;
  readonly nextIndex: number;
  readonly inflightCount: number;
  /** Milliseconds since its last answer. */
  readonly contactAgeMs: number;
}

export interface RaftStatus {
  readonly id: ServerId;
  readonly role: Role;
  readonly term: number;
  readonly votedFor: ServerId;
  readonly leader: ServerId;
  readonly readyIndex: number;
  readonly baseIndex: number;
  readonly lastIndex: number;
  readonly lastTerm: number;
  readonly persistedIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly configuration: Configuration;
  readonly committedConfigurationIndex: number;
  /** Milliseconds since the leader was heard; 0 on the leader. */
  readonly contactAgeMs: number;
  readonly leaseUntilMs: number;
  readonly peers: readonly PeerStatus[];
}
