// Raft.SaveSnapshot: an archive of the state, made apart from the main thread, then sent as fast as
// the caller reads.

import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ChunkInput, ReadMeta } from "#proto/messages.js";
import type { Call, OutStream } from "#shared/bus/types.ts";
import { CuriaError } from "#shared/errors.ts";
import type { Copied } from "./snapshot-jobs.ts";
import type { SnapshotLink } from "./snapshot-link.ts";

export interface SavesParts {
  folder: string;
  worker: SnapshotLink;
  files: { readonly current: { readonly path: string } };
  contact(): { knownLeader: boolean; lastContactMs: number };
}

/** Archives on their way at once: each is a file as large as the state, packed. */
const SAVES_MAX = 4;
const PIECE_BYTES = 64 * 1024;

export class SnapshotSaves {
  readonly #parts: SavesParts;
  #open = 0;
  #made = 0;

  constructor(parts: SavesParts) {
    this.#parts = parts;
  }

  async save(call: Call, out: OutStream<ChunkInput>): Promise<void> {
    if (this.#open >= SAVES_MAX) {
      throw new CuriaError("overloaded", `Expected at most ${SAVES_MAX} snapshots at once`);
    }
    this.#open++;
    try {
      const { file, applied } = await this.make();
      const handle = await open(file, "r");
      try {
        // Nothing is left of it, whatever happens from here on.
        await rm(file, { force: true });
        if (!call.isCancelled) await send(handle, this.#metaOf(applied), out);
      } finally {
        await handle.close();
      }
    } finally {
      this.#open--;
    }
    out.end();
  }

  /** An archive in a file that the caller is to remove. */
  async make(): Promise<{ file: string } & Copied> {
    const { folder, worker, files } = this.#parts;
    const file = join(folder, `archive-${++this.#made}.tmp`);
    const copied = await worker.run("makeArchive", files.current.path, file, Date.now());
    return { file, ...copied };
  }

  #metaOf({ index, indexBase, generation }: Copied["applied"]): ReadMeta {
    const shown = index + indexBase;
    return {
      ...this.#parts.contact(),
      index: shown,
      generation,
      appliedIndex: shown,
      notFound: false,
    };
  }
}

async function send(handle: FileHandle, meta: ReadMeta, out: OutStream<ChunkInput>): Promise<void> {
  for (let offset = 0;;) {
    const bytes = new Uint8Array(PIECE_BYTES);
    const { bytesRead } = await handle.read(bytes, 0, PIECE_BYTES, offset);
    if (bytesRead === 0 || out.isClosed) return;
    const piece = { bytes: bytes.subarray(0, bytesRead), meta: offset === 0 ? meta : undefined };
    offset += bytesRead;
    if (!out.write(piece)) await out.drained();
  }
}
