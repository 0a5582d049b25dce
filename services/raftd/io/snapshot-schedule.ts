// Snapshots by the clock: the leader puts an archive into a folder at each interval and keeps the
// newest few. A file has its name only when it is whole and synced.

import { existsSync, mkdirSync } from "node:fs";
import { copyFile, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Log } from "#shared/log.ts";
import type { SnapshotSaves } from "./snapshot-saves.ts";

export interface ScheduleSettings {
  /** 0: none are made. */
  intervalMs: number;
  retain: number;
  dir: string;
}

export interface SnapshotScheduleParts {
  settings: ScheduleSettings;
  saves: Pick<SnapshotSaves, "make">;
  isLeader(): boolean;
  log: Pick<Log, "info" | "error">;
}

const namePattern = /^curia-\d{17}-\d+\.snap(\.part)?$/;

export class SnapshotSchedule {
  readonly #parts: SnapshotScheduleParts;
  readonly #timer: Timer | undefined;
  #isRunning = false;

  constructor(parts: SnapshotScheduleParts) {
    this.#parts = parts;
    const { intervalMs } = parts.settings;
    if (intervalMs > 0) this.#timer = setInterval(() => void this.#tick(), intervalMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #tick(): Promise<void> {
    if (this.#isRunning || !this.#parts.isLeader()) return;
    this.#isRunning = true;
    try {
      await this.run(Date.now());
    } catch (error) {
      this.#parts.log.error({ err: error }, "scheduled snapshot not made");
    } finally {
      this.#isRunning = false;
    }
  }

  /** Makes one, then removes what is too old. */
  async run(wallMs: number): Promise<string> {
    const { settings: { dir, retain }, saves, log } = this.#parts;
    if (!existsSync(dir)) mkdirSync(dir, { recursive: true, mode: 0o700 });
    const { file, applied, totalBytes } = await saves.make();
    const index = applied.index + applied.indexBase;
    const path = join(dir, `curia-${timeText(wallMs)}-${index}.snap`);
    try {
      // The folder may be on another disk.
      await copyFile(file, `${path}.part`);
      const handle = await open(`${path}.part`, "r+");
      await handle.sync().finally(() => handle.close());
      await rename(`${path}.part`, path);
    } finally {
      await rm(file, { force: true });
    }
    log.info({ path, index, totalBytes }, "scheduled snapshot made");
    for (const old of surplus(await readdir(dir), retain)) {
      await rm(join(dir, old), { force: true });
    }
    return path;
  }
}

/** Which of a folder's files are to go: ours beyond the newest, and halves that were left behind. */
export function surplus(names: readonly string[], retain: number): string[] {
  const ours = names.filter((name) => namePattern.test(name)).sort();
  const halves = ours.filter((name) => name.endsWith(".part"));
  const whole = ours.filter((name) => !name.endsWith(".part"));
  return [...halves, ...whole.slice(0, Math.max(0, whole.length - Math.max(1, retain)))];
}

/** 20261122T221500123: sorts as text. */
function timeText(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/[^\d]/g, "").padStart(17, "0");
}
