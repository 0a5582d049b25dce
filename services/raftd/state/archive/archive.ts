// Consul's snapshots in and out: a state file becomes an archive that Consul's tools read, and an
// archive of Consul's becomes a state file.

import { Database } from "bun:sqlite";
import { CuriaError } from "#shared/errors.ts";
import { AppliedRow, readApplied } from "../applied.ts";
import { Journal } from "../journal.ts";
import { prepareSchema } from "../schema.ts";
import type { Applied, RestorePosition } from "../store-types.ts";
import { openTables } from "../tables.ts";
import { carryClients } from "../tables/clients.ts";
import { openArchive, tarAround } from "./container.ts";
import type { ArchiveMeta, ArchiveServer } from "./container.ts";
import { stateRecords } from "./export.ts";
import { Importer } from "./import.ts";
import type { ImportSummary } from "./import.ts";
import { pack } from "./msgpack-writer.ts";

export interface Restored {
  readonly meta: ArchiveMeta;
  readonly summary: ImportSummary;
}

/** What an archive says of itself, after all of it was read: the checksums hold and every record is
 *  understood. Keys, the bulk of it, are only looked at. */
export function inspectArchive(archive: Uint8Array): Restored {
  const { meta, state } = openArchive(archive);
  return {
    meta,
    summary: importInto(":memory:", { meta, state }, emptyPosition, undefined, false),
  };
}

/** Makes a new state file of an archive at a position in the log. What is shown as an index begins
 *  above all that the archive has. Outcomes that callers may still ask for are those of `before`.
 *  A file whose archive is refused is to be thrown away. */
export function restoreArchive(
  archive: Uint8Array,
  file: string,
  position: RestorePosition,
  before?: Database,
): Restored {
  const { meta, state } = openArchive(archive);
  return { meta, summary: importInto(file, { meta, state }, position, before) };
}

/** A state file as the parts of an archive, all of one moment, whatever is written meanwhile. That
 *  holds the file's write-ahead log: go through it without waiting for a slow reader. */
export class ArchiveExport {
  readonly applied: Applied;
  readonly #db: Database;
  readonly #journal: Journal;
  readonly #hash = new Bun.CryptoHasher("sha256");
  #size = 0;

  constructor(file: string) {
    this.#db = new Database(file, { readonly: true });
    try {
      this.#db.run("BEGIN");
      this.#journal = new Journal(this.#db);
      this.applied = readApplied(this.#db, this.#journal);
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** state.bin, to be gone through once. */
  *state(lastIndex: number): Iterable<Uint8Array> {
    const tables = openTables(this.#db, this.#journal);
    for (const piece of stateRecords(tables, this.#journal.indexes, lastIndex)) {
      this.#hash.update(piece);
      this.#size += piece.length;
      yield piece;
    }
  }

  /** What goes before and after it, known once all of it was. */
  around(about: ExportAbout): { before: Uint8Array; after: Uint8Array } {
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
    return tarAround(meta, { size: this.#size, sha256: this.#hash.digest("hex") }, wallMs);
  }

  close(): void {
    this.#db.close();
  }
}

export interface ExportAbout {
  readonly index: number;
  readonly term: number;
  readonly servers: readonly ArchiveServer[];
  readonly configurationIndex: number;
  readonly wallMs: number;
}

const emptyPosition: RestorePosition = {
  index: 0,
  term: 0,
  stampMs: 0,
  configuration: new Uint8Array(0),
  configurationIndex: 0,
  generation: 1,
  indexBase: 0,
  restoreId: "",
};

/** Indexes stay exact as numbers, with room for all writes to come. */
const indexMax = 2 ** 52;
/** The only value in the table of indexes that is none: the last serial number of a certificate. */
const serialName = "connect-ca-builtin-serial";

function importInto(
  file: string,
  { meta, state }: { meta: ArchiveMeta; state: Uint8Array },
  position: RestorePosition,
  before: Database | undefined,
  keepsKeys = true,
): ImportSummary {
  const db = new Database(file);
  try {
    // Nobody reads the file before it is whole, and a half-made one is thrown away.
    db.run("PRAGMA auto_vacuum = INCREMENTAL");
    db.run("PRAGMA synchronous = OFF");
    db.run("PRAGMA journal_mode = MEMORY");
    prepareSchema(db);
    const journal = new Journal(db);
    const tables = openTables(db, journal);
    db.run("BEGIN");
    const summary = new Importer(tables, journal.indexes, keepsKeys).run(state);
    journal.indexes.save();
    if (before !== undefined) carryClients(before, db, journal.hash);
    const highest = Math.max(meta.Index, summary.lastIndex, highestIndex(db));
    const indexBase = Math.max(position.indexBase, highest + 1 - position.index);
    if (!(indexBase < indexMax)) throw new Error(`index ${highest} is higher than any of a log`);
    const applied: Applied = { ...position, indexBase, restoredIndex: position.index + indexBase };
    new AppliedRow(db).save(applied, journal.hash.sum);
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

const indexedTables = ["kv", "nodes", "services", "checks", "sessions", "documents"];

function highestIndex(db: Database): number {
  const selects = indexedTables.map((table) =>
    `SELECT max(create_index, modify_index) FROM ${table}`
  );
  const highest = `SELECT max(each) AS highest FROM (
    SELECT 0 AS each UNION ALL ${selects.join(" UNION ALL ")}
    UNION ALL SELECT log_index FROM tombstones
    UNION ALL SELECT value FROM indexes WHERE name <> '${serialName}')`;
  return (db.query(highest).get() as { highest: number }).highest;
}
