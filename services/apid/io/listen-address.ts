// Where a listener listens, and what a socket in the file system needs before and after.

import { chmodSync, lstatSync, unlinkSync } from "node:fs";

export type ListenAddress = { host: string; port: number } | UnixAddress;

export interface UnixAddress {
  unix: string;
  /** Permissions of the socket; undefined: as the process's mask leaves them. */
  mode?: number;
}

/** What an instance that was killed left behind. */
export function removeSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) unlinkSync(path);
}

export function allowUsers({ unix, mode }: UnixAddress): void {
  if (mode !== undefined) chmodSync(unix, mode);
}
