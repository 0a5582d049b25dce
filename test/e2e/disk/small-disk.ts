// A file system of a few megabytes for a test to fill: a tmpfs. Needs root.

import { closeSync, fstatSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";

const MIB = 1024 * 1024;

export class SmallDisk {
  readonly folder: string;

  constructor(folder: string, mib: number) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    this.#run("mount", "-t", "tmpfs", "-o", `size=${mib}m,mode=0755`, "curia-test", folder);
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.folder);
    return bavail * bsize;
  }

  /** Somebody else's file takes what there is, but for so much; nothing is left with 0. */
  fill(leaveBytes: number): void {
    const fd = openSync(join(this.folder, "filler"), "a");
    try {
      let piece = MIB;
      while (this.freeBytes > leaveBytes && piece >= 512) {
        const bytes = Math.min(piece, Math.max(512, this.freeBytes - leaveBytes));
        const { size } = fstatSync(fd);
        try {
          writeSync(fd, new Uint8Array(bytes), 0, bytes, size);
        } catch (error) {
          if ((error as { code?: string }).code !== "ENOSPC") throw error;
          piece /= 2;
        }
      }
    } finally {
      closeSync(fd);
    }
  }

  empty(): void {
    rmSync(join(this.folder, "filler"), { force: true });
  }

  /** As when a volume is extended. */
  grow(mib: number): void {
    this.#run("mount", "-o", `remount,size=${mib}m`, this.folder);
  }

  close(): void {
    this.#run("umount", "-l", this.folder);
  }

  #run(...command: string[]): void {
    const { exitCode, stderr } = Bun.spawnSync(command, { stderr: "pipe" });
    if (exitCode === 0) return;
    throw new Error(`Expected "${command.join(" ")}" to work, as root: ${stderr}`);
  }
}
