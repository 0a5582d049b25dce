// The process's own standard streams as a Terminal.

import type { Terminal } from "./command.ts";

export const processTerminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  outBytes: (bytes) => void process.stdout.write(bytes),
  err: (text) => void process.stderr.write(text),
  stdin: () => Bun.stdin.bytes(),
};

/** Ends the process once everything written has left it. */
export async function finish(status: number): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => {
      stream.write("", () => resolve());
    });
  }
  process.exit(status);
}
