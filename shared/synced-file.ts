// Small files that must be whole after a power loss: synced before they get their name, and the name
// synced too.

import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** Takes the place of what is there. One writer at a time. */
export function replaceSynced(path: string, text: string, mode: number): void {
  const fresh = `${path}.new`;
  writeSynced(fresh, text, mode);
  renameSync(fresh, path);
  syncFolder(dirname(path));
}

/** False when the file is there already, whoever made it meanwhile. */
export function createSynced(path: string, text: string, mode: number): boolean {
  const fresh = `${path}.${crypto.randomUUID()}`;
  writeSynced(fresh, text, mode);
  try {
    linkSync(fresh, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  } finally {
    rmSync(fresh, { force: true });
  }
  syncFolder(dirname(path));
  return true;
}

/** The content is durable when this returns; a new name is so only after `syncFolder`. */
export function writeSynced(path: string, text: string, mode: number): void {
  const fd = openSync(path, "w", mode);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes durable what was written into the file, by whomever. */
export function syncFile(path: string): void {
  sync(path, "r+");
}

/** Makes a new or renamed file's name durable. */
export function syncFolder(path: string): void {
  sync(path, "r");
}

function sync(path: string, flags: string): void {
  const fd = openSync(path, flags);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
