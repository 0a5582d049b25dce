// The one row that says how far the state is; written in the same transaction as what it speaks of.

import { Database } from "bun:sqlite";
import type { Statement } from "bun:sqlite";
import { Journal } from "./journal.ts";
import { damageOf } from "./recount.ts";
import type { Applied, ApplyEntry } from "./store-types.ts";

/** Reads it and gives the journal the content hash that goes with it. */
export function readApplied(db: Database, journal: Journal): Applied {
  const row = db.query("SELECT * FROM applied").get() as Record<string, number> & {
    configuration: Uint8Array;
    restore_id: string;
  };
  journal.hash.sum = row.content_hash!;
  return {
    index: row.log_index!,
    term: row.term!,
    stampMs: row.stamp_ms!,
    configuration: row.configuration,
    configurationIndex: row.configuration_index!,
    generation: row.generation!,
    indexBase: row.index_base!,
    restoredIndex: row.restored_index!,
    restoreId: row.restore_id,
  };
}

export class AppliedRow {
  readonly #save: Statement;

  constructor(db: Database) {
    this.#save = db.prepare(
      "UPDATE applied SET log_index = ?, term = ?, stamp_ms = ?, configuration_index = ?, " +
        "configuration = ?, content_hash = ?, generation = ?, index_base = ?, restored_index = ?, " +
        "restore_id = ?",
    );
  }

  save(applied: Applied, contentHash: number): void {
    const { index, term, stampMs, configurationIndex, configuration, generation } = applied;
    this.#save.run(
      index,
      term,
      stampMs,
      configurationIndex,
      configuration,
      contentHash,
      generation,
      applied.indexBase,
      applied.restoredIndex,
      applied.restoreId,
    );
  }
}

/** How far a state file is, when it is one and is whole, to the last bit of its rows; "position":
 *  wholeness was looked at before. */
export function inspectStateFile(
  file: string,
  depth: "whole" | "position" = "whole",
): Applied | undefined {
  let db: Database | undefined;
  try {
    if (depth === "whole" && damageOf(file) !== undefined) return undefined;
    db = new Database(file, { readonly: true });
    return readApplied(db, new Journal(db));
  } catch {
    return undefined;
  } finally {
    db?.close();
  }
}

/** How far it is after one more entry. */
export function advance(applied: Applied, entry: ApplyEntry): Applied {
  const isConfiguration = entry.kind === "configuration";
  return {
    ...applied,
    index: entry.index,
    term: entry.term,
    stampMs: Math.max(applied.stampMs, entry.stampMs),
    configuration: isConfiguration ? entry.bytes : applied.configuration,
    configurationIndex: isConfiguration ? entry.index : applied.configurationIndex,
  };
}
