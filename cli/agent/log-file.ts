// The agent's log file with rotation: the active file keeps its name, older ones get the time of
// their rotation before the extension.

import { appendFileSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import type { LogConfig } from "#shared/config/types.ts";
import type { Clock } from "#shared/machine.ts";

const defaultName = "consul.log";

export class LogFile {
  readonly #path: string;
  readonly #config: LogConfig;
  readonly #clock: Clock;
  #bytes: number;
  #openedMs: number;

  constructor(config: LogConfig, clock: Clock) {
    const isDirectory = config.file.endsWith("/");
    const named = extname(config.file) === "" && !isDirectory ? `${config.file}.log` : config.file;
    this.#path = isDirectory ? join(config.file, defaultName) : named;
    this.#config = config;
    this.#clock = clock;
    mkdirSync(dirname(this.#path), { recursive: true });
    this.#bytes = sizeOf(this.#path);
    this.#openedMs = clock.nowMs();
  }

  write(line: string): void {
    const size = Buffer.byteLength(line) + 1;
    const { rotateBytes, rotateDurationMs } = this.#config;
    const isFull = rotateBytes > 0 && this.#bytes + size > rotateBytes && this.#bytes > 0;
    const isOld = rotateDurationMs > 0 &&
      this.#clock.nowMs() - this.#openedMs >= rotateDurationMs;
    if (isFull || isOld) this.#rotate();
    appendFileSync(this.#path, `${line}\n`, { mode: 0o640 });
    this.#bytes += size;
  }

  #rotate(): void {
    const extension = extname(this.#path);
    const stem = this.#path.slice(0, this.#path.length - extension.length);
    if (this.#bytes > 0) {
      const stampNs = BigInt(Math.trunc(this.#clock.wallMs())) * 1_000_000n;
      renameSync(this.#path, `${stem}-${stampNs}${extension}`);
    }
    this.#bytes = 0;
    this.#openedMs = this.#clock.nowMs();
    this.#prune(basename(stem), extension);
  }

  /** 0 keeps all, -1 none. */
  #prune(stem: string, extension: string): void {
    const { rotateMaxFiles } = this.#config;
    if (rotateMaxFiles === 0) return;
    const directory = dirname(this.#path);
    const rotated = readdirSync(directory)
      .filter((name) => name.startsWith(`${stem}-`) && name.endsWith(extension))
      .sort();
    const keep = Math.max(rotateMaxFiles, 0);
    for (const name of rotated.slice(0, rotated.length - keep)) rmSync(join(directory, name));
  }
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}
