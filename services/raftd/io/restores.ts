// Raft.RestoreSnapshot: takes an archive in, verifies all of it, and only then brings it into the log
// in pieces; the entry after the last one makes every server restore it (restore-builder.ts).

import { statfsSync } from "node:fs";
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Chunk, Command, type Outcome, RestoreMark } from "#proto/messages.js";
import type { InStream } from "#shared/bus/types.ts";
import { CuriaError, errorCodeName } from "#shared/errors.ts";
import type { Log } from "#shared/log.ts";
import type { Proposals } from "./proposals.ts";
import type { ReadGate } from "./reads.ts";
import type { SnapshotLink } from "./snapshot-link.ts";

export interface RestoresParts {
  folder: string;
  worker: SnapshotLink;
  proposals: Proposals;
  gate: ReadGate;
  log: Log;
  /** Free bytes that an upload must leave on the disk. */
  reserveBytes: number;
}

const PIECE_BYTES = 512 * 1024;
/** Pieces on their way through the log at once. */
const PIECES_OPEN_MAX = 4;
const PIECE_TIMEOUT_MS = 60_000;
/** How long the servers may take to make the new state. */
const SWITCH_TIMEOUT_MS = 600_000;
/** How often the free space is looked at. */
const SPACE_CHECK_BYTES = 16 * 1024 * 1024;

export class Restores {
  readonly #parts: RestoresParts;
  #isBusy = false;
  #uploads = 0;

  constructor(parts: RestoresParts) {
    this.#parts = parts;
  }

  /** Settles when the archive is the state of this server. */
  async restore(items: InStream<Chunk>, timeoutMs: number): Promise<void> {
    if (this.#isBusy) {
      items.cancel();
      throw new CuriaError("failed-precondition", "another restore is under way");
    }
    this.#isBusy = true;
    const file = join(this.#parts.folder, `upload-${++this.#uploads}.tmp`);
    try {
      const totalBytes = await this.#receive(items, file);
      await this.#bringIn(file, totalBytes, timeoutMs);
    } finally {
      this.#isBusy = false;
      await rm(file, { force: true });
    }
  }

  async #receive(items: InStream<Chunk>, file: string): Promise<number> {
    const handle = await open(file, "w", 0o600);
    try {
      let totalBytes = 0;
      let checkAtBytes = 0;
      for await (const { bytes } of items) {
        if (totalBytes >= checkAtBytes) {
          this.#expectSpace();
          checkAtBytes += SPACE_CHECK_BYTES;
        }
        await handle.writeFile(bytes);
        totalBytes += bytes.length;
      }
      return totalBytes;
    } finally {
      await handle.close();
    }
  }

  /** The upload, the log's copy, that of the state and the new state all need room. */
  #expectSpace(): void {
    const { bavail, bsize } = statfsSync(this.#parts.folder);
    if (bavail * bsize > this.#parts.reserveBytes + 4 * SPACE_CHECK_BYTES) return;
    throw new CuriaError("disk-full", "The leader's disk is too full to take a snapshot in");
  }

  async #bringIn(file: string, totalBytes: number, timeoutMs: number): Promise<void> {
    const { worker, proposals, gate, log } = this.#parts;
    const { index, keptRaw } = await worker.run("inspectUpload", file);
    if (keptRaw.length > 0) {
      log.warn({ records: keptRaw.slice(0, 20), count: keptRaw.length }, "records only kept");
    }
    await gate.wait("consistent", timeoutMs);
    const id = crypto.randomUUID();
    log.info({ id, archiveIndex: index, totalBytes }, "restoring a snapshot");
    try {
      await this.#sendPieces(id, file, totalBytes);
      const mark = RestoreMark.encode({ id, totalBytes }).finish();
      settle(await proposals.proposeBarrier(mark, Math.min(timeoutMs, SWITCH_TIMEOUT_MS)));
      log.info({ id, archiveIndex: index }, "snapshot restored");
    } catch (error) {
      log.error({ id, err: error }, "snapshot not restored");
      // Pieces that nobody will ask for only take space.
      void this.#sendPiece("", 0, new Uint8Array(0)).catch(() => {});
      throw error;
    }
  }

  async #sendPieces(id: string, file: string, totalBytes: number): Promise<void> {
    const handle = await open(file, "r");
    try {
      // The first one drops what other restores left, so the rest must follow it.
      await this.#sendPiece(id, 0, await readPiece(handle, 0));
      let next = PIECE_BYTES;
      const send = async () => {
        while (next < totalBytes) {
          const offset = next;
          next += PIECE_BYTES;
          await this.#sendPiece(id, offset, await readPiece(handle, offset));
        }
      };
      await Promise.all(Array.from({ length: PIECES_OPEN_MAX }, send));
    } finally {
      await handle.close();
    }
  }

  async #sendPiece(id: string, offset: number, bytes: Uint8Array): Promise<void> {
    const command = Command.encode({ restore: { id, offset, bytes } }).finish();
    settle(await this.#parts.proposals.propose(command, undefined, PIECE_TIMEOUT_MS));
  }
}

async function readPiece(handle: FileHandle, offset: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(PIECE_BYTES);
  const { bytesRead } = await handle.read(bytes, 0, PIECE_BYTES, offset);
  return bytes.subarray(0, bytesRead);
}

function settle({ errorCode, error }: Outcome): void {
  if (errorCode !== 0) throw new CuriaError(errorCodeName(errorCode), error);
}
