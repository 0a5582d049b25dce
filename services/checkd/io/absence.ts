// How long the daemon was away: a file in the run directory that is touched while it runs.

import { mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const touchMs = 5_000;

export class AbsenceMark {
  readonly #path: string;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(runDir: string) {
    this.#path = join(runDir, "checkd.alive");
  }

  /** Infinity when it never ran, or before the last boot. */
  awayMs(wallMs: number): number {
    try {
      const { mtimeMs } = statSync(this.#path);
      // A clock that was set back says nothing.
      return mtimeMs > wallMs ? Infinity : wallMs - mtimeMs;
    } catch {
      return Infinity;
    }
  }

  start(): void {
    const touch = () => {
      const now = new Date();
      try {
        utimesSync(this.#path, now, now);
      } catch {
        mkdirSync(dirname(this.#path), { recursive: true, mode: 0o750 });
        writeFileSync(this.#path, "");
      }
    };
    touch();
    this.#timer = setInterval(touch, touchMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
