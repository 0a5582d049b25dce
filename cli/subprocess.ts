// Runs a user's program for watch and lock: through the shell or as it is, with what it reads.

import { spawn } from "node:child_process";

export interface ProgramOptions {
  /** Joined words through $SHELL, else the words as they are. */
  hasShell: boolean;
  env: Record<string, string>;
  /** Given to its standard input; "inherit" passes ours on, undefined none. */
  stdin: string | "inherit" | undefined;
  signal?: AbortSignal;
}

/** How it ended, in Go's words; undefined when it was fine. */
export function runProgram(
  words: readonly string[],
  { hasShell, env, stdin, signal }: ProgramOptions,
): Promise<string | undefined> {
  const shell = process.env["SHELL"] || "/bin/sh";
  const [file, ...args] = hasShell ? [shell, "-c", words.join(" ")] : words;
  const child = spawn(file!, args, {
    stdio: [
      stdin === undefined ? "ignore" : stdin === "inherit" ? "inherit" : "pipe",
      "inherit",
      "inherit",
    ],
    env: { ...process.env, ...env },
  });
  const forward = (name: NodeJS.Signals) => child.kill(name);
  const names = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of names) process.on(name, forward);
  const stop = () => stopGently(child);
  signal?.addEventListener("abort", stop, { once: true });
  if (stdin !== undefined && stdin !== "inherit") {
    // A program that does not read its input closes it; that is its own affair.
    child.stdin!.on("error", () => {});
    child.stdin!.end(stdin);
  }
  return new Promise((resolve) => {
    const done = (problem: string | undefined) => {
      for (const name of names) process.off(name, forward);
      signal?.removeEventListener("abort", stop);
      resolve(problem);
    };
    child.on("error", (error: NodeJS.ErrnoException) => done(startProblem(file!, error)));
    child.on("close", (status, killer) => {
      if (status === 0) done(undefined);
      else done(status === null ? `signal: ${killer}` : `exit status ${status}`);
    });
  });
}

function startProblem(file: string, error: NodeJS.ErrnoException): string {
  if (error.code !== "ENOENT") return error.message;
  return file.includes("/")
    ? `fork/exec ${file}: no such file or directory`
    : `exec: ${JSON.stringify(file)}: executable file not found in $PATH`;
}

/** SIGTERM, and SIGKILL when that was not enough. */
function stopGently(child: ReturnType<typeof spawn>): void {
  child.kill("SIGTERM");
  const killer = setTimeout(() => child.kill("SIGKILL"), 5_000);
  child.on("close", () => clearTimeout(killer));
}
