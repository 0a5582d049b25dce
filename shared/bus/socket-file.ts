// Unix socket files: a stale one is removed only after a refused connect and under a lock file, so
// that two daemons that start at once never unlink each other's.

import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { CuriaError } from "../errors.ts";
import type { Listener, Transport, Wire } from "./transport.ts";

/** Linux's sockaddr_un holds 108 bytes with the final zero. */
export const socketPathMax = 107;
const socketMode = 0o660;
const lockWaitMs = 3_000;
/** A lock is held for the time of one listen(); one that is older lost its owner. */
const lockAgeMaxMs = 10_000;

export async function listenUnix(
  path: string,
  transport: Transport,
  open: () => Listener,
): Promise<Listener> {
  const bytes = Buffer.byteLength(path);
  if (bytes > socketPathMax) {
    throw new CuriaError(
      "invalid-argument",
      `Expected a socket path of at most ${socketPathMax} bytes but ${path} has ${bytes}: ` +
        "choose a shorter run directory",
    );
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o770 });
  const unlock = await lock(`${path}.lock`);
  try {
    if (existsSync(path)) await removeStale(path, transport);
    const listener = open();
    chmodSync(path, socketMode);
    const inode = statSync(path).ino;
    return { port: 0, close: () => closeListener(listener, path, inode) };
  } finally {
    unlock();
  }
}

async function removeStale(path: string, transport: Transport): Promise<void> {
  const isServed = await transport.connect({ path }, (wire: Wire) => {
    queueMicrotask(() => wire.close());
    return { onBytes() {}, onDrain() {}, onWireClosed() {} };
  }).then(() => true, () => false);
  if (isServed) {
    throw new CuriaError("failed-precondition", `Another process already serves ${path}`);
  }
  unlinkSync(path);
}

function closeListener(listener: Listener, path: string, inode: number): void {
  listener.close();
  // A successor may have its own socket there by now.
  try {
    if (statSync(path).ino === inode) unlinkSync(path);
  } catch {
    // Gone already.
  }
}

async function lock(path: string): Promise<() => void> {
  const endMs = performance.now() + lockWaitMs;
  while (true) {
    try {
      const file = openSync(path, "wx", socketMode);
      writeSync(file, String(process.pid));
      closeSync(file);
      return () => unlinkSync(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        throw new CuriaError("unavailable", `Cannot make ${path}: ${(error as Error).message}`);
      }
    }
    if (isAbandoned(path)) removeLock(path);
    else if (performance.now() > endMs) {
      throw new CuriaError("unavailable", `Another process holds ${path}`);
    } else await Bun.sleep(10);
  }
}

function isAbandoned(path: string): boolean {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    if (Date.now() - statSync(path).mtimeMs > lockAgeMaxMs) return true;
    if (!(pid > 0)) return false;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

function removeLock(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Its owner or another waiter was faster.
  }
}
