// The replicated state: commands in, deterministic changes and outcomes out, one SQLite file.

import type { Outcome, Query, ReadReply } from "#proto/messages.js";
import type { EntryKind } from "../core/raft/messages.ts";
import type { StateChange } from "./journal.ts";

/** One committed entry of the Raft log. `bytes` of a command are a LogRecord; of a configuration
 *  they are kept as they are. */
export interface ApplyEntry {
  readonly index: number;
  readonly term: number;
  readonly kind: EntryKind;
  readonly stampMs: number;
  readonly bytes: Uint8Array;
}

/** How far the state is. */
export interface Applied {
  readonly index: number;
  readonly term: number;
  /** The replicated clock: the highest stamp applied. */
  readonly stampMs: number;
  /** Bytes of the last applied configuration entry; empty before the first. */
  readonly configuration: Uint8Array;
  readonly configurationIndex: number;
  /** Another one after a restore: positions in the change stream do not compare across. */
  readonly generation: number;
}

/** All changes of one log index, in the order in which they were made. */
export interface ChangeGroup {
  readonly index: number;
  readonly changes: readonly StateChange[];
}

/** What a batch changed: rows for the change stream, touched objects for watches. */
export interface AppliedChanges {
  readonly groups: readonly ChangeGroup[];
  /** Watch keys other than KV keys (those are in the rows) with the index that touched them last. */
  readonly touched: ReadonlyMap<string, number>;
}

export interface ApplyResult {
  /** One per entry; undefined for entries that are no commands. */
  readonly outcomes: readonly (Outcome | undefined)[];
  readonly changes: AppliedChanges;
}

export interface StoreOptions {
  /** Where catalog rows without a datacenter belong. */
  readonly datacenter: string;
  readonly readOnly?: boolean;
}

export interface StateStore {
  applied(): Applied;
  /** All entries in one transaction; throws (state unchanged) when the disk fails. */
  apply(entries: readonly ApplyEntry[]): ApplyResult;
  /** Rows and their index; with `knownIndex` of the caller's rows, `unchanged` and no rows when the
   *  answer would be of the same index. Of `meta` it fills index, generation, applied_index and
   *  not_found. */
  read(query: Query, knownIndex?: number): ReadReply;
  /** The same answer in parts of bounded size, all from one moment; parts carry equal meta. */
  readSlices(query: Query): Iterable<ReadReply>;
  /** Consul's index of the answer, without its rows. */
  indexOf(query: Query): number;
  /** Makes what is applied durable; returns its index. */
  checkpoint(): number;
  /** Writes a copy of the state file; the file must not exist. */
  snapshotTo(file: string): void;
  /** Equal on servers whose applied index is equal; 16 hex digits. */
  contentHash(): string;
  close(): void;
}
