// The flags of `agent` and of every daemon started on its own: those of the key table, and the few
// that say where the configuration is.

import { isListType } from "./merge.ts";
import type { Settings } from "./decode.ts";
import { FlagError, parseFlags } from "./go-flags.ts";
import type { FlagSpec, FlagType } from "./go-flags.ts";
import type { Key } from "./key.ts";
import { currentKeys, keyByPath } from "./table.ts";
import { formatOf } from "./source.ts";
import type { ConfigFormat } from "./source.ts";

export interface AgentFlags {
  /** -config-file and -config-dir, in their order. */
  paths: string[];
  format: ConfigFormat | "";
  fragments: string[];
  dev: boolean;
  /** Settings that files extend. */
  lists: Settings;
  /** Settings that beat files. */
  scalars: Settings;
  warnings: string[];
  rest: string[];
}

const placeFlags: readonly FlagSpec[] = [
  {
    name: "config-file",
    type: "strings",
    help: "Path to a file in JSON or HCL format with a matching file extension. Can be " +
      "specified multiple times.",
  },
  {
    name: "config-dir",
    type: "strings",
    help: "Path to a directory to read configuration files from. This will read every file " +
      "ending in '.json' as configuration in this directory in alphabetical order. Can be " +
      "specified multiple times.",
  },
  {
    name: "config-format",
    type: "string",
    help: "Config files are in this format irrespective " +
      "of their extension. Must be 'hcl' or 'json'",
  },
  { name: "hcl", type: "strings", help: "hcl config fragment. Can be specified multiple times." },
  { name: "dev", type: "bool", help: "Starts the agent in development mode." },
  { name: "join", type: "strings", help: "Deprecated: use -retry-join." },
  { name: "join-wan", type: "strings", help: "Deprecated: use -retry-join-wan." },
];

/** Both go into one list, so that their order on the command line is kept. */
const pathFlags = new Set(["config-file", "config-dir"]);
const joinFlags: ReadonlyMap<string, string> = new Map([
  ["join", "retry_join"],
  ["join-wan", "retry_join_wan"],
]);

export const agentFlagSpecs: readonly FlagSpec[] = [
  ...placeFlags,
  ...currentKeys.filter(({ flag }) => flag !== "").map((row) => ({
    name: row.flag,
    type: flagType(row),
    help: row.help,
  })),
].sort((a, b) => a.name < b.name ? -1 : 1);

const keyByFlag: ReadonlyMap<string, Key> = new Map(
  currentKeys.filter(({ flag }) => flag !== "").map((row) => [row.flag, row]),
);

/** Throws FlagError or HelpWanted. */
export function parseAgentFlags(args: readonly string[]): AgentFlags {
  const merged = args.map((arg) => arg.replace(/^--?config-dir(?==|$)/, "-config-file"));
  const { values, rest } = parseFlags(agentFlagSpecs, merged);
  const flags: AgentFlags = {
    paths: values.get("config-file") as string[] | undefined ?? [],
    format: parseFormat(values.get("config-format")),
    fragments: values.get("hcl") as string[] | undefined ?? [],
    dev: values.get("dev") === true,
    lists: new Map(),
    scalars: new Map(),
    warnings: [],
    rest,
  };
  for (const [name, value] of values) {
    const now = joinFlags.get(name);
    if (now !== undefined) {
      const list = flags.lists.get(now) as string[] | undefined ?? [];
      flags.lists.set(now, [...list, ...value as string[]]);
      const flag = keyByPath.get(now)!.flag;
      flags.warnings.push(
        `The '-${name}' flag is deprecated. Use the '-${flag}' flag instead.`,
      );
      continue;
    }
    const row = keyByFlag.get(name);
    if (row === undefined || pathFlags.has(name)) continue;
    const target = isListType(row.type) ? flags.lists : flags.scalars;
    const before = target.get(row.path) as unknown[] | undefined;
    target.set(row.path, isListType(row.type) ? [...before ?? [], ...value as unknown[]] : value);
  }
  return flags;
}

function parseFormat(value: unknown): ConfigFormat | "" {
  if (value === undefined || value === "") return "";
  const format = formatOf(`.${value}`);
  if (format === undefined) throw new FlagError("-config-format must be either 'hcl' or 'json'");
  return format;
}

function flagType(row: Key): FlagType {
  switch (row.type) {
    case "bool":
    case "int":
    case "uint":
    case "duration":
    case "strings":
    case "map":
    case "string":
      return row.type;
    default:
      throw new Error(`key ${row.path} of type ${row.type} cannot be a flag`);
  }
}
