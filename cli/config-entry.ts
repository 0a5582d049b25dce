// `config`: configuration entries, read from files in JSON or HCL.

import { readFileSync } from "node:fs";
import { HclError, parseHcl } from "#shared/codec/hcl.ts";
import { isEntryKind } from "#shared/config/build/rules.ts";
import { joinRefusals } from "#shared/config/source.ts";
import { pathEscape } from "./api.ts";
import { goOpenError } from "./go-errors.ts";
import type { Command, CommandContext, Terminal } from "./command.ts";
import { entryFields } from "./entry-fields.ts";
import type { Entry } from "./entry-fields.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure } from "./refusal.ts";

const reach = { isClient: true, isServerCall: true, hasTenancy: true };
const kindFlag = flag("kind", "string", "The kind of the configuration entry.");
const nameFlag = flag("name", "string", "The name of the configuration entry.");
const casFlags = [
  flag("cas", "bool", "Perform a Check-And-Set operation; needs -modify-index."),
  flag("modify-index", "uint", "The ModifyIndex of the entry, for -cas."),
];

export const commands: readonly Command[] = [
  {
    path: "config delete",
    summary: "Delete a centralized config entry",
    usage: "[options] -kind <config kind> -name <config name>",
    flags: [
      ...casFlags,
      flag("filename", "string", "The file of the entry, instead of -kind and -name."),
      kindFlag,
      nameFlag,
    ],
    ...reach,
    run: remove,
  },
  {
    path: "config list",
    summary: "List centralized config entries of a given kind",
    usage: "[options] -kind <config kind>",
    flags: [flag("filter", "string", "Filter to use with the request."), kindFlag],
    ...reach,
    run: list,
  },
  {
    path: "config read",
    summary: "Read a centralized config entry",
    usage: "[options] -kind <config kind> -name <config name>",
    flags: [kindFlag, nameFlag],
    ...reach,
    run: read,
  },
  {
    path: "config write",
    summary: "Create or update a centralized config entry",
    usage: "[options] <configuration>",
    help: "Writes the entry of a file, or of standard input when the argument is -.",
    flags: casFlags,
    ...reach,
    run: write,
  },
];

async function write({ args, flags, api, terminal }: CommandContext): Promise<number> {
  const [path] = args;
  if (path === undefined || args.length > 1) {
    throw new CommandFailure(
      "Must provide exactly one positional argument to specify the config entry to write",
    );
  }
  const entry = parseEntry(await loadText(path, terminal));
  const name = `${entry["Kind"]}/${entry["Name"] ?? "mesh"}`;
  const index = flags.int("modify-index");
  const query: Record<string, string> = flags.bool("cas") ? { cas: String(index) } : {};
  const { text } = await ask(
    `Error writing config entry ${name}`,
    api().call("PUT", "/v1/config", { query, body: entry }),
  );
  if (text.trim() !== "true") {
    throw new CommandFailure(`Error writing config entry ${name}: config entry not updated`);
  }
  terminal.out(`Config entry written: ${name}\n`);
  return 0;
}

/** The text of a file, or of standard input. Throws CommandFailure. */
export async function loadText(path: string, terminal: Terminal): Promise<string> {
  if (path === "-") return new TextDecoder().decode(await terminal.stdin());
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new CommandFailure(
      `Failed to load data: Failed to read file: ${goOpenError(path, error)}`,
    );
  }
}

/** A JSON or HCL text with the API's names. Throws CommandFailure in Consul's words. */
export function parseEntry(text: string): Entry {
  const prefix = "Failed to decode config entry input";
  const refuse = (why: string) => new CommandFailure(`${prefix}: ${why}`);
  let raw: unknown;
  try {
    raw = text.trimStart().startsWith("{") ? JSON.parse(text) : parseHcl(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw refuse(`${prefix}: ${goJsonError(text, error)}`);
    if (error instanceof HclError) throw refuse(`${prefix}: ${error.message}`);
    throw error;
  }
  const given = raw as Entry;
  const kind = given["Kind"] ?? given["kind"];
  if (kind === undefined) {
    throw refuse("Payload does not contain a kind/Kind key at the top level");
  }
  if (!isEntryKind(kind)) throw refuse(`invalid config entry kind: ${String(kind)}`);
  const unknown: string[] = [];
  const entry = entryFields(String(kind), given, unknown);
  if (unknown.length > 0) {
    throw refuse(joinRefusals(unknown.map((name) => `invalid config key ${JSON.stringify(name)}`)));
  }
  return entry;
}

function goJsonError(text: string, error: SyntaxError): string {
  return /EOF|Unexpected end|Unterminated/i.test(error.message) || text.trim() === ""
    ? "unexpected end of JSON input"
    : error.message;
}

async function read({ flags, api, terminal }: CommandContext): Promise<number> {
  const { kind, name } = kindAndName(flags);
  const prefix = `Error reading config entry ${kind}/${name}`;
  if (!isEntryKind(kind)) {
    throw new CommandFailure(`${prefix}: invalid config entry kind: ${kind}`);
  }
  const entry = await ask(prefix, api().json<Entry>("GET", entryPath(kind, name)));
  terminal.out(`${JSON.stringify(entry, null, 4)}\n`);
  return 0;
}

async function list({ flags, api, terminal }: CommandContext): Promise<number> {
  const kind = flags.string("kind");
  if (kind === "") throw new CommandFailure("Must specify the -kind parameter");
  const filter = flags.string("filter");
  const entries = await ask(
    `Error listing config entries for kind ${JSON.stringify(kind)}`,
    api().json<Entry[]>("GET", `/v1/config/${pathEscape(kind)}`, {
      query: filter === "" ? {} : { filter },
    }),
  );
  for (const entry of entries) terminal.out(`${entry["Name"]}\n`);
  return 0;
}

async function remove({ flags, api, terminal }: CommandContext): Promise<number> {
  const file = flags.string("filename");
  if (file === "" && flags.string("kind") === "") {
    throw new CommandFailure("Must specify the -kind or -filename parameter");
  }
  const index = flags.int("modify-index");
  if (flags.bool("cas") && index === 0) {
    throw new CommandFailure("Must specify a -modify-index greater than 0 with -cas");
  }
  if (!flags.bool("cas") && index !== 0) {
    throw new CommandFailure("Cannot specify -modify-index without -cas");
  }
  const { kind, name } = file === ""
    ? kindAndName(flags)
    : namesOf(parseEntry(await loadText(file, terminal)));
  const query: Record<string, string> = flags.bool("cas") ? { cas: String(index) } : {};
  const { text } = await ask(
    `Error deleting config entry ${kind}/${name}`,
    api().call("DELETE", entryPath(kind, name), { query }),
  );
  if (flags.bool("cas") && text.trim() !== "true") {
    throw new CommandFailure(`Config entry not deleted: ${kind}/${name}`);
  }
  terminal.out(`Config entry deleted: ${kind}/${name}\n`);
  return 0;
}

function namesOf(entry: Entry): { kind: string; name: string } {
  return { kind: String(entry["Kind"]), name: String(entry["Name"] ?? "mesh") };
}

function kindAndName(flags: CommandContext["flags"]): { kind: string; name: string } {
  const kind = flags.string("kind");
  const name = flags.string("name");
  if (kind === "") throw new CommandFailure("Must specify the -kind parameter");
  if (name === "") throw new CommandFailure("Must specify the -name parameter");
  return { kind, name };
}

function entryPath(kind: string, name: string): string {
  return `/v1/config/${pathEscape(kind)}/${pathEscape(name)}`;
}
