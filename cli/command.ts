// What a command of the command line is, and what it gets.

import type { FlagSpec } from "#shared/config/go-flags.ts";
import type { ApiClient } from "./api.ts";

export interface Command {
  /** Words after the program's name: `kv get`. */
  path: string;
  /** One line for the group's list of commands. */
  summary: string;
  /** What follows the path in the first line of its help: `[options] [KEY_OR_PREFIX]`. */
  usage: string;
  /** Paragraphs of the help after its first line. */
  help?: string;
  flags?: readonly FlagSpec[];
  /** Also takes the flags that say how to reach an agent. */
  isClient?: boolean;
  /** Also takes -datacenter and -stale. */
  isServerCall?: boolean;
  /** Also takes -namespace and -partition. */
  hasTenancy?: boolean;
  /** Also takes -partition alone. */
  hasPartition?: boolean;
  /** Reads its own words: no flag is parsed before it. */
  isRaw?: boolean;
  /** Resolves to the exit status. */
  run(context: CommandContext): Promise<number> | number;
}

export interface CommandContext {
  command: Command;
  /** Positional words. */
  args: readonly string[];
  flags: Flags;
  terminal: Terminal;
  env: Readonly<Record<string, string | undefined>>;
  /** Made on first use, of flags and environment. Throws SettingsError. */
  api(): ApiClient;
}

/** Where a command writes and reads. `out` and `err` add nothing. */
export interface Terminal {
  out(text: string): void;
  outBytes(bytes: Uint8Array): void;
  err(text: string): void;
  stdin(): Promise<Uint8Array>;
}

/** Given flags by name, with the defaults of a command that uses them. */
export class Flags {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  string(name: string, fallback = ""): string {
    return this.#values.get(name) as string | undefined ?? fallback;
  }

  bool(name: string, fallback = false): boolean {
    return this.#values.get(name) as boolean | undefined ?? fallback;
  }

  int(name: string, fallback = 0): number {
    return this.#values.get(name) as number | undefined ?? fallback;
  }

  strings(name: string): string[] {
    return this.#values.get(name) as string[] | undefined ?? [];
  }
}

/** Ends a command: the text goes to stderr with a line end, the status to the shell. */
export class CommandFailure extends Error {
  override name = "CommandFailure";
  readonly status: number;

  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}

export function flag(name: string, type: FlagSpec["type"], help: string): FlagSpec {
  return { name, type, help };
}

/** `k=v` words as an object, in Consul's way: a word without `=` has an empty value. */
export function keyValues(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.map((word) => {
    const at = word.indexOf("=");
    return at < 0 ? [word, ""] : [word.slice(0, at), word.slice(at + 1)];
  }));
}
