// The one row that says how far the state is; written in the same transaction as what it speaks of.

import type { Database, Statement } from "bun:sqlite";
import type { Journal } from "./journal.ts";
import type { Applied } from "./store-types.ts";

/** Reads it and gives the journal the content hash that goes with it. */
export function readApplied(db: Database, journal: Journal): Applied {
  const row = db.query("SELECT * FROM applied").get() as Record<string, number> & {
    configuration: Uint8Array;
  };
  journal.hash.sum = row.content_hash!;
  return {
    index: row.log_index!,
    term: row.term!,
    stampMs: row.stamp_ms!,
    configuration: row.configuration,
    configurationIndex: row.configuration_index!,
    generation: row.generation!,
  };
}

export class AppliedRow {
  readonly #save: Statement;

  constructor(db: Database) {
    this.#save = db.prepare(
      "UPDATE applied SET log_index = ?, term = ?, stamp_ms = ?, configuration_index = ?, " +
        "configuration = ?, content_hash = ?, generation = ?",
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
    );
  }
}
