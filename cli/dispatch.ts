// From the command line to a command: which one, its flags, its exit status.

import { FlagError, HelpWanted, parseFlags } from "#shared/config/go-flags.ts";
import type { ParsedFlags } from "#shared/config/go-flags.ts";
import { ApiClient } from "./api.ts";
import { readApiSettings, SettingsError } from "./api-settings.ts";
import { Flags } from "./flags.ts";
import { CommandFailure } from "./refusal.ts";
import type { Command, CommandContext, Terminal } from "./command.ts";
import { daemons } from "./daemons.ts";
import { allFlags, commandHelp, flagHelp, groupHelp, programHelp } from "./help.ts";
import type { Group } from "./help.ts";
import { families } from "./table.ts";

const helpWords = new Set(["-h", "-help", "--help"]);
const versionWords = new Set(["-v", "-version", "--version"]);
/** What a shell answers for a command that does not exist. */
const unknownCommandStatus = 127;

export interface Invocation {
  /** The name under which the program was called. */
  program: string;
  args: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  terminal: Terminal;
}

/** Runs one command; resolves to the exit status. */
export async function dispatch(invocation: Invocation): Promise<number> {
  const { args, program, terminal } = invocation;
  const [first, ...others] = args;
  if (first !== undefined && versionWords.has(first)) {
    return dispatch({ ...invocation, args: ["version", ...others] });
  }
  const family = families.find(({ name }) => name === first);
  if (family === undefined) {
    const isHelp = first !== undefined && helpWords.has(first);
    const text = programHelp(program, families, daemons);
    if (isHelp) terminal.out(text);
    else terminal.err(text);
    return isHelp ? 0 : unknownCommandStatus;
  }
  const { commands } = await family.load();
  const found = findCommand(commands, args);
  if (found !== undefined) return await runCommand(found, invocation);
  return showGroup(closestGroup(family.groups, args), commands, invocation);
}

/** The command with the longest path that the words begin with. */
function findCommand(commands: readonly Command[], args: readonly string[]): Command | undefined {
  return commands
    .filter(({ path }) => path.split(" ").every((word, i) => args[i] === word))
    .sort((a, b) => b.path.length - a.path.length)[0];
}

function closestGroup(groups: readonly Group[], args: readonly string[]): Group {
  return groups
    .filter(({ path }) => path.split(" ").every((word, i) => args[i] === word))
    .sort((a, b) => b.path.length - a.path.length)[0]!;
}

function showGroup(group: Group, commands: readonly Command[], invocation: Invocation): number {
  const { args, program, terminal } = invocation;
  const depth = group.path.split(" ").length;
  const below = new Map<string, string>();
  for (const { path, summary } of commands) {
    if (!path.startsWith(`${group.path} `)) continue;
    const words = path.split(" ");
    below.set(words[depth]!, words.length === depth + 1 ? summary : "");
  }
  const listed = [...below].map(([name, summary]) => ({ name, summary }));
  const text = groupHelp(program, group, listed);
  const isHelp = helpWords.has(args[depth] ?? "");
  if (isHelp) terminal.out(text);
  else terminal.err(text);
  return isHelp ? 0 : 1;
}

async function runCommand(command: Command, invocation: Invocation): Promise<number> {
  const { program, terminal, env } = invocation;
  const words = invocation.args.slice(command.path.split(" ").length);
  try {
    const parsed = command.isRaw
      ? { values: new Map<string, unknown>(), rest: words }
      : parseWords(command, words);
    const flags = new Flags(parsed.values);
    let client: ApiClient | undefined;
    const context: CommandContext = {
      program,
      command,
      args: parsed.rest,
      flags,
      terminal,
      env,
      api: () => client ??= connect(flags, env, terminal),
    };
    return await command.run(context);
  } catch (error) {
    if (error instanceof HelpWanted) {
      terminal.out(commandHelp(program, command));
      return 0;
    }
    if (error instanceof FlagError) {
      terminal.err(`${error.message}\nUsage:\n\n${flagHelp(command)}`);
      return 1;
    }
    if (error instanceof SettingsError) {
      terminal.err(`Error connecting to Consul agent: ${error.message}\n`);
      return 1;
    }
    if (error instanceof CommandFailure) {
      if (error.message !== "") terminal.err(`${error.message}\n`);
      return error.status;
    }
    throw error;
  }
}

function parseWords(command: Command, words: readonly string[]): ParsedFlags {
  const specs = allFlags(command);
  const parsed = parseFlags(specs, words);
  while (command.takesFlagsAnywhere && parsed.rest.some((word) => word.startsWith("-"))) {
    const at = parsed.rest.findIndex((word) => word.startsWith("-"));
    const later = parseFlags(specs, parsed.rest.slice(at));
    for (const [name, value] of later.values) parsed.values.set(name, value);
    parsed.rest = [...parsed.rest.slice(0, at), ...later.rest];
  }
  return parsed;
}

function connect(flags: Flags, env: Invocation["env"], terminal: Terminal): ApiClient {
  const settings = readApiSettings(flags, env);
  for (const warning of settings.warnings) {
    terminal.err(`${new Date().toISOString()} ${warning}\n`);
  }
  return new ApiClient(settings);
}
