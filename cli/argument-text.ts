// Words that stand for data: a literal, @FILE, or - for standard input.

import { readFileSync } from "node:fs";
import type { Terminal } from "./command.ts";
import { goOpenError } from "./go-errors.ts";
import { CommandFailure } from "./refusal.ts";

/** A literal, a file, or standard input. */
export async function readData(
  word: string,
  terminal: Terminal,
  prefix: string,
): Promise<Uint8Array> {
  if (word === "-") return await terminal.stdin();
  if (!word.startsWith("@")) return Buffer.from(word);
  const path = word.slice(1);
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CommandFailure(`${prefix} file: ${goOpenError(path, error)}`);
  }
}
