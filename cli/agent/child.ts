// One daemon as a process: started in a process group of its own (a Ctrl-C at the terminal is for
// the agent alone), its output read line by line, its end reported once.

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";

/** A line longer than this is cut: a broken daemon must not fill the agent's memory. */
const lineBytesMax = 64 * 1024;

export interface ChildEvents {
  line(line: string): void;
  ended(how: Ending): void;
}

export interface Ending {
  status: number | null;
  signal: string | null;
  ranMs: number;
}

export interface ChildCommand {
  file: string;
  args: readonly string[];
}

/** Set in a daemon's environment by the agent: it ends when its standard input does. */
export const supervisedVariable = "CURIA_SUPERVISED";

export class Child {
  readonly #process: ChildProcess;
  #hasEnded = false;

  constructor(command: ChildCommand, events: ChildEvents) {
    const startedMs = performance.now();
    this.#process = spawn(command.file, [...command.args], {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      // Readiness towards systemd is the agent's to tell.
      env: { ...process.env, [supervisedVariable]: "1", NOTIFY_SOCKET: undefined },
    });
    readLines(this.#process.stdout!, events.line);
    readLines(this.#process.stderr!, events.line);
    const end = (status: number | null, signal: string | null) => {
      if (this.#hasEnded) return;
      this.#hasEnded = true;
      events.ended({ status, signal, ranMs: performance.now() - startedMs });
    };
    this.#process.on("error", (error) => {
      events.line(`cannot start ${command.file}: ${error.message}`);
      end(null, null);
    });
    // `close` comes after the last output was read; `exit` alone could lose a crash's message.
    this.#process.on("close", end);
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  signal(name: "SIGTERM" | "SIGKILL"): void {
    if (!this.#hasEnded) this.#process.kill(name);
  }
}

function readLines(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line !== "") take(line);
    if (rest.length > lineBytesMax) {
      take(rest.slice(0, lineBytesMax));
      rest = "";
    }
  });
  stream.on("end", () => {
    if (rest !== "") take(rest);
    rest = "";
  });
}
