// Pieces of an archive on their way through the log. They are no part of the content: the entry
// after the last piece makes a new state of them, and that begins without any.

import type { Database, Statement } from "bun:sqlite";
import type { RestoreCommand } from "#proto/messages.js";

export class RestorePieces {
  readonly #drop: Statement;
  readonly #put: Statement;
  readonly #first: Statement;

  constructor(db: Database) {
    this.#drop = db.prepare("DELETE FROM restore_pieces WHERE restore_id <> ?");
    this.#put = db.prepare(
      "INSERT OR REPLACE INTO restore_pieces (restore_id, start, bytes) VALUES (?, ?, ?)",
    );
    this.#first = db.prepare("SELECT 1 FROM restore_pieces WHERE restore_id = ? AND start = 0");
  }

  /** Why the piece is refused, if it is. Of two restores the later one wins. */
  take({ id, offset, bytes }: RestoreCommand): string | undefined {
    if (offset === 0) this.#drop.run(id);
    else if (this.#first.get(id) === null) return "another restore took the place of this one";
    if (id !== "") this.#put.run(id, offset, bytes);
    return undefined;
  }
}

/** The archive, when all pieces of it are there. */
export function joinPieces(db: Database, id: string, totalBytes: number): Uint8Array | undefined {
  const query = "SELECT start, bytes FROM restore_pieces WHERE restore_id = ? ORDER BY start";
  const found = db.query(
    "SELECT sum(length(bytes)) AS bytes FROM restore_pieces WHERE restore_id = ?",
  )
    .get(id) as { bytes: number | null };
  if (found.bytes !== totalBytes) return undefined;
  const whole = new Uint8Array(totalBytes);
  let at = 0;
  for (const row of db.query(query).iterate(id) as Iterable<{ start: number; bytes: Uint8Array }>) {
    if (row.start !== at) return undefined;
    whole.set(row.bytes, at);
    at += row.bytes.length;
  }
  return whole;
}
