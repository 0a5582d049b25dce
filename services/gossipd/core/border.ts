// The border of a pool's machine: the facts it is told and the orders it gives.
import type { Snapshot, SnapshotLine } from "./serf/snapshot.ts";
import type { Filter } from "./wire/serf.ts";
import type { Tags } from "./wire/tags.ts";

export interface Endpoint {
  address: Uint8Array;
  port: number;
}

export type MemberStatus = "alive" | "leaving" | "left" | "failed";

export interface Member {
  readonly name: string;
  readonly address: Uint8Array;
  readonly port: number;
  readonly tags: Tags;
  readonly status: MemberStatus;
  /** Lowest, highest and current protocol of memberlist, then of Serf. */
  readonly versions: Uint8Array;
}

export type MemberChange = "joined" | "left" | "failed" | "updated" | "reaped";

export interface Peer extends Endpoint {
  /** When set, only the node of this name answers. */
  name?: string;
}

export interface QueryRequest {
  name: string;
  payload: Uint8Array;
  filters: Filter[];
  wantsAcks: boolean;
  relayFactor: number;
  /** Default: by the size of the pool. */
  timeoutMs?: number | undefined;
}

export type KeyOperation = "install" | "use" | "remove" | "list";

export interface KeysOutcome {
  nodesCount: number;
  answersCount: number;
  errorsCount: number;
  /** Node to what it said; an error or a remark. */
  messages: Map<string, string>;
  /** Key in base64 to the number of nodes that have it, or have it as primary. */
  keys: Map<string, number>;
  primaryKeys: Map<string, number>;
}

export type Input =
  | { kind: "started"; snapshot?: Snapshot }
  | { kind: "received-packet"; from: Endpoint; messages: readonly Uint8Array[] }
  /** A stream that a peer opened: its whole message. Numbers of incoming streams are the shell's. */
  | { kind: "received-stream"; stream: number; from: Endpoint; message: Uint8Array }
  /** A stream that we opened; its number is the machine's. */
  | { kind: "stream-answered"; stream: number; message: Uint8Array }
  | { kind: "stream-failed"; stream: number; reason: string }
  | { kind: "timer-fired"; timer: string; token: number }
  | { kind: "join-requested"; join: number; peers: Peer[]; ignoreOldEvents?: boolean }
  | { kind: "leave-requested" }
  | { kind: "force-leave-requested"; name: string; prune: boolean }
  | { kind: "tags-changed"; tags: Tags }
  | { kind: "event-fired"; name: string; payload: Uint8Array; coalesce: boolean }
  | { kind: "query-asked"; ask: number; query: QueryRequest }
  | { kind: "query-answered"; query: number; payload: Uint8Array }
  | {
    kind: "keys-asked";
    ask: number;
    operation: KeyOperation;
    key?: Uint8Array;
    relayFactor: number;
  };

export type StreamPurpose = "join" | "push-pull" | "ping";

export type Effect =
  /** `crc`: the receiver is known to check it. */
  | { kind: "send-packet"; to: Endpoint; messages: Uint8Array[]; crc: boolean }
  | {
    kind: "open-stream";
    stream: number;
    to: Endpoint;
    purpose: StreamPurpose;
    message: Uint8Array;
    timeoutMs: number;
  }
  | { kind: "reply-stream"; stream: number; message: Uint8Array }
  | { kind: "close-stream"; stream: number }
  | { kind: "set-timer"; timer: string; token: number; afterMs: number }
  | { kind: "report"; change: MemberChange; member: Member }
  | { kind: "user-event"; name: string; payload: Uint8Array; lTime: number; coalesce: boolean }
  /** Another's query for the application; answer with `query-answered` before the deadline. */
  | {
    kind: "query";
    query: number;
    name: string;
    payload: Uint8Array;
    from: string;
    lTime: number;
    timeoutMs: number;
  }
  | { kind: "query-acked"; ask: number; from: string }
  | { kind: "query-responded"; ask: number; from: string; payload: Uint8Array }
  | { kind: "query-ended"; ask: number }
  /** An order that was refused: an event or query too large, a wrong key, unknown tags. */
  | { kind: "refused"; order: Input["kind"]; ask?: number; reason: string }
  | { kind: "keys-answered"; ask: number; outcome: KeysOutcome }
  | { kind: "keyring-changed" }
  | { kind: "snapshot-line"; line: SnapshotLine }
  | { kind: "joined"; join: number; contactedCount: number; errors: string[] }
  | { kind: "left" }
  /** Another node has our name and the majority sides with it. */
  | { kind: "conflict-lost" }
  | { kind: "note"; level: "debug" | "info" | "warn"; message: string };
