// Help texts: of the program, of a group, of one command.

import type { FlagSpec } from "#shared/config/go-flags.ts";
import { clientFlags, serverFlags, tenancyFlags } from "./api-settings.ts";
import type { Command } from "./command.ts";
import { formatColumns } from "./columns.ts";

const lineWidth = 80;

/** A word with commands below it. */
export interface Group {
  path: string;
  summary: string;
  /** What follows the path in the first line: `<subcommand> [options] [args]`. */
  usage: string;
}

export interface ListedCommand {
  name: string;
  summary: string;
}

export function programHelp(
  program: string,
  commands: readonly ListedCommand[],
  daemons: readonly ListedCommand[],
): string {
  return `Usage: ${program} [--version] [--help] <command> [<args>]\n\n` +
    `Available commands are:\n${listed(commands)}\n` +
    `Daemons of a node (started by \`${program} agent\`, or one by one):\n${listed(daemons)}\n`;
}

export function groupHelp(
  program: string,
  group: Group,
  commands: readonly ListedCommand[],
): string {
  return `Usage: ${program} ${group.path} ${group.usage}\n\n  ${group.summary}\n\n` +
    `Subcommands:\n${listed(commands)}\n`;
}

function listed(commands: readonly ListedCommand[]): string {
  const rows = commands.map(({ name, summary }) => [`    ${name}`, summary]);
  return formatColumns(rows);
}

export function commandHelp(program: string, command: Command): string {
  const body = command.help ?? command.summary;
  return `Usage: ${program} ${command.path}${command.usage === "" ? "" : ` ${command.usage}`}` +
    `\n\n  ${body.replaceAll("\n", "\n  ")}\n\n${flagHelp(command)}`;
}

/** The flags alone, after a mistake in them. */
export function flagHelp(command: Command): string {
  const sections: [string, readonly FlagSpec[]][] = [
    ["HTTP API Options", [
      ...command.isClient ? clientFlags : [],
      ...command.isServerCall ? serverFlags : [],
    ]],
    ["Command Options", command.flags ?? []],
    ["Consul Enterprise Options", partitionFlags(command)],
  ];
  return sections.filter(([, flags]) => flags.length > 0).map(([title, flags]) =>
    `${title}\n\n${flags.map(oneFlag).join("")}`
  ).join("");
}

function partitionFlags(command: Command): readonly FlagSpec[] {
  if (command.hasTenancy) return tenancyFlags;
  return command.hasPartition ? tenancyFlags.filter(({ name }) => name === "partition") : [];
}

/** Every flag that the command takes. */
export function allFlags(command: Command): FlagSpec[] {
  return [
    ...command.flags ?? [],
    ...command.isClient ? clientFlags : [],
    ...command.isServerCall ? serverFlags : [],
    ...partitionFlags(command),
  ];
}

function oneFlag(flag: FlagSpec): string {
  const value = flag.type === "bool" ? "" : `=<${flag.type === "strings" ? "value" : flag.type}>`;
  return `  -${flag.name}${value}\n${wrapped(flag.help, 5)}\n\n`;
}

function wrapped(text: string, indent: number): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.replaceAll("`", "").split(/\s+/)) {
    if (line !== "" && line.length + word.length + 1 + indent > lineWidth) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.map((entry) => " ".repeat(indent) + entry).join("\n");
}
