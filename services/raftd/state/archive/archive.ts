// Consul's snapshots in and out: a state file becomes an archive that Consul's tools read, and an
// archive of Consul's becomes a state file.

import { Database } from "bun:sqlite";
import { CuriaError } from "#shared/errors.ts";
import { AppliedRow } from "../applied.ts";
import { Journal } from "../journal.ts";
import { prepareSchema } from "../schema.ts";
import type { Applied } from "../store-types.ts";
import { openTables } from "../tables.ts";
import { openArchive, tarOf } from "./container.ts";
import type { ArchiveMeta, ArchiveServer } from "./container.ts";
import { stateRecords } from "./export.ts";
import { Importer } from "./import.ts";
import type { ImportSummary } from "./import.ts";
import { pack } from "./msgpack.ts";

export interface Restored {
  readonly meta: ArchiveMeta;
  readonly summary: ImportSummary;
}

/** What an archive says of itself, after all of it was verified. */
export function inspectArchive(archive: Uint8Array): Restored {
  const { meta, state } = openArchive(archive);
  return { meta, summary: importInto(":memory:", state, emptyPosition) };
}

/** Makes a new state file of an archive, at a position that the caller has chosen: the index above
 *  all that the log and the archive have, and the generation new. Nothing is left of the file when
 *  the archive is refused. */
export function restoreArchive(archive: Uint8Array, file: string, position: Applied): Restored {
  const { meta, state } = openArchive(archive);
  return { meta, summary: importInto(file, state, position) };
}

/** The tar of an archive in pieces, from a state file that stands still: a copy. */
export function* exportArchive(file: string, about: ExportAbout): Iterable<Uint8Array> {
  const db = new Database(file, { readonly: true });
  try {
    const journal = new Journal(db);
    const tables = openTables(db, journal);
    const { index, term, servers, configurationIndex, wallMs } = about;
    const peers = pack(servers.map(({ Address: address }) => address));
    const meta = {
      ID: `${term}-${index}-${wallMs}`,
      Index: index,
      Term: term,
      Peers: Buffer.from(peers).toString("base64"),
      Configuration: { Servers: servers },
      ConfigurationIndex: configurationIndex,
    };
    yield* tarOf(meta, () => stateRecords(tables, journal.indexes, index), wallMs);
  } finally {
    db.close();
  }
}

export interface ExportAbout {
  readonly index: number;
  readonly term: number;
  readonly servers: readonly ArchiveServer[];
  readonly configurationIndex: number;
  readonly wallMs: number;
}

const emptyPosition: Applied = {
  index: 0,
  term: 0,
  stampMs: 0,
  configuration: new Uint8Array(0),
  configurationIndex: 0,
  generation: 1,
};

function importInto(file: string, state: Uint8Array, position: Applied): ImportSummary {
  const db = new Database(file);
  try {
    // Nobody reads the file before it is whole, and a half-made one is thrown away.
    db.run("PRAGMA synchronous = OFF");
    prepareSchema(db);
    const journal = new Journal(db);
    const tables = openTables(db, journal);
    db.run("BEGIN");
    const summary = new Importer(tables, journal.indexes).run(state);
    journal.indexes.save();
    new AppliedRow(db).save(position, journal.hash.sum);
    db.run("COMMIT");
    return summary;
  } catch (error) {
    if (error instanceof CuriaError) throw error;
    const reason = `failed to restore snapshot: ${(error as Error).message}`;
    throw new CuriaError("invalid-argument", reason, { cause: error });
  } finally {
    db.close();
  }
}
