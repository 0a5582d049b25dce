// What a command of the command line is, and what it gets.

import type { FlagSpec } from "#shared/config/go-flags.ts";
import type { ApiClient } from "./api.ts";
import type { Flags } from "./flags.ts";

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
  /** Flags may also stand after positional words (Consul's own commands do not allow it). */
  takesFlagsAnywhere?: boolean;
  /** Reads its own words: no flag is parsed before it. */
  isRaw?: boolean;
  /** Resolves to the exit status. */
  run(context: CommandContext): Promise<number> | number;
}

export interface CommandContext {
  /** The name under which the program was called. */
  program: string;
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
