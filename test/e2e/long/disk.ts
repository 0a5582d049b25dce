// A disk of its own for a node: an ext4 file system in a file. It can lose its power, which drops all
// that was not synced, as the kernel's own shutdown of a file system does; and it can be full. Needs
// root and loop devices.

import { dlopen, FFIType, ptr } from "bun:ffi";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../node.ts";

const MIB = 1024 * 1024;
/** FS_IOC_SHUTDOWN, and its flag for neither flushing the log nor what waits behind it. */
const shutdownRequest = 0x8004587d;
const noLogFlush = 2;
const libc = dlopen("libc.so.6", {
  ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
});

export class Disk {
  readonly #folder = mkdtempSync(join(tmpdir(), "curia-disk-"));
  readonly #image = join(this.#folder, "image");
  /** Where its files are. */
  readonly path = join(this.#folder, "files");

  constructor(sizeMib: number) {
    mkdirSync(this.path);
    closeSync(openSync(this.#image, "w"));
    truncateSync(this.#image, sizeMib * MIB);
    run("mkfs.ext4", "-q", "-m", "0", this.#image);
    this.#mount();
  }

  /** From now on every operation fails, and nothing more reaches the disk. */
  shutDown(): void {
    const fd = openSync(this.path, "r");
    const flags = new Uint32Array([noLogFlush]);
    const result = libc.symbols.ioctl(fd, shutdownRequest, ptr(flags));
    closeSync(fd);
    if (result !== 0) throw new Error(`the file system of ${this.path} was not shut down`);
  }

  /** The disk as it is after its power was away: no program may use it any more. */
  async powerUp(): Promise<void> {
    await until("nobody uses the disk", 20_000, () => tried("umount", this.path));
    this.#mount();
  }

  /** Leaves so much free, until `clear`. */
  fill(leaveMib: number): void {
    const { bavail, bsize } = statfsSync(this.path);
    const bytes = bavail * bsize - leaveMib * MIB;
    if (bytes > 0) tried("fallocate", "-l", String(Math.floor(bytes)), this.#ballast);
  }

  clear(): void {
    rmSync(this.#ballast, { force: true });
  }

  async remove(): Promise<void> {
    await until("nobody uses the disk", 20_000, () => tried("umount", this.path));
    rmSync(this.#folder, { recursive: true });
  }

  get #ballast(): string {
    return join(this.path, "ballast");
  }

  #mount(): void {
    run("mount", "-o", "loop", this.#image, this.path);
  }
}

function tried(...command: string[]): boolean {
  return Bun.spawnSync(command, { stdout: "ignore", stderr: "ignore" }).exitCode === 0;
}

function run(...command: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(command, { stdout: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr}`);
}
