// Logs of a daemon: pino JSON lines on stdout, the last of them kept for `curia logs`, secrets
// blanked out.

import pino from "pino";

export type Log = pino.Logger;

export interface DaemonLog {
  log: Log;
  tail: LogTail;
  /** Writes out what is buffered; before an exit. */
  flush(): void;
}

/** Field names whose values never reach a log, wherever one level of nesting has them. */
const secretNames = ["token", "secret", "secretJson", "authorization", "key", "privateKey"];
const linesMax = 500;
const lineBytesMax = 16 * 1024;

export interface LogOptions {
  daemon: string;
  node: string;
  level: string;
  /** Where lines go; stdout when absent. */
  write?: (line: string) => void;
}

export function openLog(options: LogOptions): DaemonLog {
  const tail = new LogTail();
  const output = options.write === undefined ? new StdoutLines() : undefined;
  const write = options.write ?? ((line: string) => output!.write(line));
  const log = pino({
    level: options.level,
    base: { daemon: options.daemon, node: options.node },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
      censor: "<hidden>",
    },
  }, {
    write(line: string) {
      tail.add(line);
      write(line);
    },
  });
  return { log, tail, flush: () => output?.flush() };
}

/** The last lines, and those to come for who follows. */
export class LogTail {
  readonly #lines: string[] = [];
  #next = 0;
  readonly #followers = new Set<(line: string) => void>();

  add(line: string): void {
    const kept = line.length > lineBytesMax ? line.slice(0, lineBytesMax) : line.trimEnd();
    this.#lines[this.#next] = kept;
    this.#next = (this.#next + 1) % linesMax;
    for (const follower of this.#followers) follower(kept);
  }

  last(count: number): string[] {
    const ordered = [...this.#lines.slice(this.#next), ...this.#lines.slice(0, this.#next)];
    return ordered.slice(Math.max(0, ordered.length - count));
  }

  follow(listener: (line: string) => void): () => void {
    this.#followers.add(listener);
    return () => this.#followers.delete(listener);
  }
}

/** Lines of one turn of the event loop leave in one write. */
class StdoutLines {
  readonly #sink = Bun.stdout.writer();
  #isScheduled = false;

  write(line: string): void {
    this.#sink.write(line);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.flush());
  }

  flush(): void {
    this.#isScheduled = false;
    // A reader that went away must not take the daemon with it.
    Promise.resolve(this.#sink.flush()).catch(() => {});
  }
}
