// The border of the replicated state: what its shell hands in and gets back.

import type { Outcome } from "#proto/messages.js";
import type { EntryKind } from "../core/raft/messages.ts";
import type { ChangeGroup } from "./journal.ts";

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
  /** What is shown as an index is the log index and this: after a restore indexes must lie above
   *  all that the archive has. */
  readonly indexBase: number;
  /** The shown index of the last restore, and which one it was; 0 and "" before the first. */
  readonly restoredIndex: number;
  readonly restoreId: string;
}

/** Where in the log an archive takes the place of the state; the rest follows from the archive. */
export type RestorePosition = Omit<Applied, "restoredIndex">;

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

/** Where a position in the change stream is. */
export interface Position {
  readonly generation: number;
  readonly index: number;
}
