// Gives pages of deleted rows back to the disk, in slices that hold nobody up, so that the file does
// not stay as large as it once was.

import type { Database } from "bun:sqlite";

/** Free pages up to this many are kept for the rows to come. */
const keptPages = 2_048;
/** Beyond that, the part of the file that may be free. */
const freePartMax = 0.25;
/** 1 MiB: a few milliseconds. */
const slicePages = 256;

export class Space {
  readonly #db: Database;
  #mustTrim = false;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Looks whether too much is free; `trimSlice` then works until it is not. */
  measure(): void {
    const free = this.#count("freelist_count");
    this.#mustTrim = free > keptPages && free > this.#count("page_count") * freePartMax;
  }

  get usedBytes(): number {
    const pages = this.#count("page_count") - this.#count("freelist_count");
    return pages * this.#count("page_size");
  }

  /** False when there is nothing more to do. Not inside a transaction. */
  trimSlice(): boolean {
    if (!this.#mustTrim) return false;
    const before = this.#count("freelist_count");
    try {
      this.#db.query(`PRAGMA incremental_vacuum(${slicePages})`).all();
    } catch (error) {
      // It needs a little room itself; the next checkpoint looks again.
      if (!isDiskFull(error)) throw error;
      return this.#mustTrim = false;
    }
    this.measure();
    // A file that was made without auto_vacuum gives nothing back.
    if (this.#count("freelist_count") >= before) this.#mustTrim = false;
    return this.#mustTrim;
  }

  #count(pragma: "freelist_count" | "page_count" | "page_size"): number {
    return this.#db.query(`PRAGMA ${pragma}`).values()[0]![0] as number;
  }
}

/** No room in a file, or in the index of a write-ahead log. */
export function isDiskFull(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" &&
    /^(ENOSPC|EDQUOT|SQLITE_FULL|SQLITE_IOERR_SHMSIZE)/.test(code);
}
