// A log.db whose pages are damaged: the log begins anew where the state is, and remembers that there
// was more, so that this server neither leads nor votes before it has entries of a later term.

import { existsSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { syncFile, syncFolder } from "#shared/synced-file.ts";
import type { LogPosition } from "../core/raft/messages.ts";
import { isDamage } from "../state/recount.ts";
import { type LogContent, LogStore } from "./log-store.ts";

export interface OpenedLog {
  log: LogStore;
  content: LogContent;
}

/** `applied` is what the state has, `term` the newest that this server voted in. */
export function openLog(path: string, applied: LogPosition, term: number): OpenedLog {
  if (existsSync(newFile(path))) replace(path);
  let log: LogStore | undefined;
  try {
    log = new LogStore(path);
    return { log, content: log.open() };
  } catch (error) {
    if (!isDamage(error)) throw error;
    log?.close();
  }
  // What was lost is not known, but all of it is of this term at most.
  const promised = { index: Number.MAX_SAFE_INTEGER, term };
  const made = `${newFile(path)}.tmp`;
  LogStore.makeAfterDamage(made, applied, promised);
  syncFile(made);
  renameSync(made, newFile(path));
  syncFolder(dirname(path));
  replace(path);
  const repaired = new LogStore(path);
  return { log: repaired, content: repaired.open() };
}

/** There is no way back from here: without its write-ahead log the old file could look sound, and be
 *  an older one. A crash in the middle is finished at the next start. */
function replace(path: string): void {
  for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
  renameSync(newFile(path), path);
  syncFolder(dirname(path));
}

function newFile(path: string): string {
  return `${path}.new`;
}
