// What takes long on state files and archives, apart from the main thread: copies, archives in and
// out, checks. Each opens the files on its own; what it returns crosses the border of a worker.

import { Database } from "bun:sqlite";
import {
  closeSync,
  openSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { constants, setPriority } from "node:os";
import { basename } from "node:path";
import { CuriaError } from "#shared/errors.ts";
import { syncFile } from "#shared/synced-file.ts";
import { decodeConfiguration } from "../core/raft/membership.ts";
import { ArchiveExport, inspectArchive, restoreArchive } from "../state/archive/archive.ts";
import type { Applied, RestorePosition } from "../state/store-types.ts";
import { inspectStateFile } from "../state/applied.ts";
import { joinPieces } from "../state/tables/restore-pieces.ts";

export interface Copied {
  applied: Applied;
  totalBytes: number;
}

export interface Inspected {
  index: number;
  term: number;
  /** Records that are kept and not understood. */
  keptRaw: string[];
}

/** "incomplete": the pieces are not all there; "refused": the archive is no good. */
export type Built =
  | { kind: "built"; keptRaw: string[] }
  | { kind: "incomplete" }
  | { kind: "refused"; reason: string };

/** A compact copy of what is applied now; not synced. */
export function copyState(stateFile: string, target: string): Copied {
  rmSync(target, { force: true });
  const db = new Database(stateFile, { readonly: true });
  try {
    db.query("VACUUM INTO ?").run(target);
  } finally {
    db.close();
  }
  return { applied: positionOf(target), totalBytes: statSync(target).size };
}

/** A gzip archive of what is applied now, as Consul's tools read it. Each piece is a gzip member of
 *  its own, so that what goes before the records can be made after them, when it is known. */
export function makeArchive(stateFile: string, target: string, wallMs: number): Copied {
  yieldToOthers();
  const records = `${target}.state`;
  const archive = new ArchiveExport(stateFile);
  try {
    const { applied } = archive;
    const about = { ...membersOf(applied), wallMs };
    writePieces(records, zipped(archive.state(about.index)));
    const { before, after } = archive.around(about);
    archive.close();
    writePieces(target, inOrder(zip(before), piecesOf(records), zip(after)));
    return { applied, totalBytes: statSync(target).size };
  } catch (error) {
    rmSync(target, { force: true });
    throw error;
  } finally {
    archive.close();
    rmSync(records, { force: true });
  }
}

/** This thread works when no other wants the processor: writes wait for nobody's archive. */
function yieldToOthers(): void {
  try {
    const thread = Number(basename(readlinkSync("/proc/thread-self")));
    setPriority(thread, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // Not on Linux: it is a courtesy only.
  }
}

function* zipped(pieces: Iterable<Uint8Array>): Iterable<Uint8Array> {
  for (const piece of pieces) yield zip(piece);
}

function zip(bytes: Uint8Array): Uint8Array {
  // The lowest level of this library packs as well as zlib's fourth, in half the time.
  return Bun.gzipSync(bytes as Uint8Array<ArrayBuffer>, { library: "libdeflate", level: 1 });
}

function* inOrder(before: Uint8Array, pieces: Iterable<Uint8Array>, after: Uint8Array) {
  yield before;
  yield* pieces;
  yield after;
}

function writePieces(file: string, pieces: Iterable<Uint8Array>): void {
  const fd = openSync(file, "w", 0o600);
  try {
    for (const piece of pieces) {
      for (let at = 0; at < piece.length;) at += writeSync(fd, piece, at);
    }
  } finally {
    closeSync(fd);
  }
}

function* piecesOf(file: string): Iterable<Uint8Array> {
  const fd = openSync(file, "r");
  try {
    for (;;) {
      const piece = new Uint8Array(PIECE_BYTES);
      const count = readSync(fd, piece);
      if (count === 0) return;
      yield piece.subarray(0, count);
    }
  } finally {
    closeSync(fd);
  }
}

const PIECE_BYTES = 1024 * 1024;

function membersOf(applied: Applied) {
  const { configuration, configurationIndex } = applied;
  const servers = configuration.length === 0
    ? []
    : decodeConfiguration(configurationIndex, configuration).servers;
  return {
    index: applied.index + applied.indexBase,
    term: applied.term,
    configurationIndex,
    servers: servers.map(({ id, address, suffrage }) => ({
      Suffrage: suffrage === "voter" ? 0 : 1,
      ID: id,
      Address: address,
    })),
  };
}

/** Reads all of an uploaded archive as a restore would; throws with Consul's text for what is wrong. */
export function inspectUpload(file: string): Inspected {
  const { meta, summary } = inspectArchive(readFileSync(file));
  return { index: meta.Index, term: meta.Term, keptRaw: summary.keptRaw };
}

/** Makes a synced state file at a position of the log, of the pieces that the state holds. */
export function buildState(
  stateFile: string,
  totalBytes: number,
  target: string,
  position: RestorePosition,
): Built {
  rmSync(target, { force: true });
  const before = new Database(stateFile, { readonly: true });
  try {
    const archive = joinPieces(before, position.restoreId, totalBytes);
    if (archive === undefined) return { kind: "incomplete" };
    const { summary } = restoreArchive(archive, target, position, before);
    syncFile(target);
    return { kind: "built", keptRaw: summary.keptRaw };
  } catch (error) {
    rmSync(target, { force: true });
    // The same on every server; a broken or full disk is not, and ends this one.
    if (!(error instanceof CuriaError) || isOfDisk(error)) throw error;
    return { kind: "refused", reason: error.message };
  } finally {
    before.close();
  }
}

function isOfDisk({ cause }: CuriaError): boolean {
  const code = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === "string" && /^SQLITE_(FULL|IOERR|CANTOPEN|NOMEM|CORRUPT)/.test(code);
}

/** Whether the file is a whole state of that position; it is synced then. */
export function verifyState(file: string, index: number, term: number): boolean {
  syncFile(file);
  const found = inspectStateFile(file);
  return found?.index === index && found.term === term;
}

/** Moves the write-ahead log into the file; true when all that was committed is durable. */
export function checkpointState(stateFile: string): boolean {
  const db = new Database(stateFile, { readwrite: true });
  try {
    db.run("PRAGMA synchronous = NORMAL");
    const [row] = db.query("PRAGMA wal_checkpoint(PASSIVE)").values();
    const [busy, pages, moved] = (row ?? [1, 0, 0]) as [number, number, number];
    return busy === 0 && moved >= pages;
  } finally {
    db.close();
  }
}

function positionOf(file: string): Applied {
  const applied = inspectStateFile(file, "position");
  if (applied === undefined) throw new Error(`Expected a state file in ${file}`);
  return applied;
}
