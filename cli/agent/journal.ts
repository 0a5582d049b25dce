// The agent's log: its own records and its daemons' lines, to standard output and the log file, in
// Consul's text form or as JSON.

import type { LogConfig } from "#shared/config/types.ts";
import { systemClock } from "#shared/machine.ts";
import type { Terminal } from "../command.ts";
import { LogFile } from "./log-file.ts";
import { formatJson, formatText, isAtLeast, parseLine } from "./log-lines.ts";
import type { LineLevel, LogRecord } from "./log-lines.ts";

export class Journal {
  readonly #terminal: Terminal;
  #level: LineLevel;
  readonly #isJson: boolean;
  readonly #file: LogFile | undefined;

  constructor(terminal: Terminal, config: LogConfig) {
    this.#terminal = terminal;
    this.#level = config.level;
    this.#isJson = config.json;
    this.#file = config.file === "" ? undefined : new LogFile(config, systemClock);
  }

  set level(level: LineLevel) {
    this.#level = level;
  }

  log(level: LineLevel, message: string, fields: Record<string, unknown> = {}): void {
    this.#write({ level, timeMs: systemClock.wallMs(), module: "agent", message, fields });
  }

  daemonLine(daemon: string, line: string): void {
    this.#write(parseLine(line, daemon, systemClock.wallMs()));
  }

  #write(record: LogRecord): void {
    if (!isAtLeast(record.level, this.#level)) return;
    const line = this.#isJson ? formatJson(record) : formatText(record);
    this.#terminal.out(`${line}\n`);
    try {
      this.#file?.write(line);
    } catch (error) {
      this.#terminal.err(`cannot write the log file: ${error}\n`);
    }
  }
}
