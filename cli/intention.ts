// `intention`: who may talk to whom.

import { readFileSync } from "node:fs";
import { ApiError, pathEscape } from "./api.ts";
import { goOpenError } from "./go-errors.ts";
import type { ApiClient } from "./api.ts";
import { formatColumns } from "./columns.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag, keyValues } from "./flags.ts";
import { ask, CommandFailure } from "./refusal.ts";

interface Intention {
  ID?: string;
  Description?: string;
  SourceName: string;
  DestinationName: string;
  Action?: string;
  Permissions?: unknown[];
  Meta?: Record<string, string> | null;
  Precedence?: number;
  CreatedAt?: string;
}

const notAllowedStatus = 1;
const checkErrorStatus = 2;
const noneStatus = 2;
const reach = { isClient: true, isServerCall: true, hasTenancy: true };

export const commands: readonly Command[] = [
  {
    path: "intention check",
    summary: "Check whether a connection between two services is allowed.",
    usage: "[options] SRC DST",
    ...reach,
    run: check,
  },
  {
    path: "intention create",
    summary: "Create intentions for service connections.",
    usage: "[options] SRC DST",
    flags: [
      flag("allow", "bool", "Create an intention that allows when matched."),
      flag("deny", "bool", "Create an intention that denies when matched."),
      flag("file", "bool", "Read intention data from one or more files."),
      flag("meta", "strings", "Metadata to set on the intention, `key=value`."),
      flag("replace", "bool", "Replace matching intentions."),
    ],
    ...reach,
    run: create,
  },
  {
    path: "intention delete",
    summary: "Delete an intention.",
    usage: "[options] SRC DST",
    ...reach,
    run: remove,
  },
  {
    path: "intention get",
    summary: "Show information about an intention.",
    usage: "[options] SRC DST",
    ...reach,
    run: get,
  },
  {
    path: "intention list",
    summary: "List all intentions.",
    usage: "[options]",
    ...reach,
    run: list,
  },
  {
    path: "intention match",
    summary: "Show intentions that match a source or destination.",
    usage: "[options] SRC|DST",
    flags: [
      flag("destination", "bool", "Match by destination."),
      flag("source", "bool", "Match by source."),
    ],
    ...reach,
    run: match,
  },
];

async function check({ args, api, terminal }: CommandContext): Promise<number> {
  if (args.length !== 2) {
    throw new CommandFailure(
      "Error: command requires exactly two arguments: src and dst",
      checkErrorStatus,
    );
  }
  const [source, destination] = args as [string, string];
  try {
    const { Allowed } = await api().json<{ Allowed: boolean }>(
      "GET",
      "/v1/connect/intentions/check",
      { query: { source, destination, "source-type": "consul" } },
    );
    terminal.out(Allowed ? "Allowed\n" : "Denied\n");
    return Allowed ? 0 : notAllowedStatus;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw new CommandFailure(`Error checking the connection: ${error.message}`, checkErrorStatus);
  }
}

async function create({ args, flags, api, terminal }: CommandContext): Promise<number> {
  if (flags.bool("allow") && flags.bool("deny")) {
    throw new CommandFailure("Only one of -allow or -deny may be specified.");
  }
  const intentions = flags.bool("file") ? args.map(readIntention) : [ofArguments(args, flags)];
  const agent = api();
  for (const intention of intentions) {
    const action = intention.Action || `${intention.Permissions?.length ?? 0} permissions`;
    const shown = `${intention.SourceName} => ${intention.DestinationName} (${action})`;
    const prefix = `Error creating intention ${JSON.stringify(shown)}`;
    const old = flags.bool("replace") ? await findExact(agent, intention, prefix) : undefined;
    if (old?.ID) {
      await ask(
        `Error replacing intention with source ${JSON.stringify(intention.SourceName)} and ` +
          `destination ${JSON.stringify(intention.DestinationName)}`,
        agent.call("PUT", `/v1/connect/intentions/${pathEscape(old.ID)}`, { body: intention }),
      );
      continue;
    }
    await ask(prefix, agent.call("POST", "/v1/connect/intentions", { body: intention }));
    terminal.out(`Created: ${shown}\n`);
  }
  return 0;
}

function ofArguments(args: readonly string[], flags: CommandContext["flags"]): Intention {
  const [source, destination] = args;
  if (source === undefined || destination === undefined || args.length > 2) {
    throw new CommandFailure("Error: Must specify two arguments: source and destination");
  }
  return {
    SourceName: source,
    DestinationName: destination,
    Action: flags.bool("deny") ? "deny" : "allow",
    ...(flags.has("meta") ? { Meta: keyValues(flags.strings("meta")) } : {}),
  };
}

function readIntention(path: string): Intention {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Intention;
  } catch (error) {
    const why = error instanceof SyntaxError ? error.message : goOpenError(path, error);
    throw new CommandFailure(`Error: File ${JSON.stringify(path)}: ${why}`);
  }
}

/** Undefined when there is none. */
async function findExact(
  agent: ApiClient,
  { SourceName, DestinationName }: Intention,
  prefix: string,
): Promise<Intention | undefined> {
  const { status, text } = await ask(
    prefix,
    agent.call("GET", "/v1/connect/intentions/exact", {
      query: { source: SourceName, destination: DestinationName },
      accept: [404],
    }),
  );
  return status === 404 ? undefined : JSON.parse(text) as Intention;
}

/** By source and destination, or by id. */
async function findOne(
  agent: ApiClient,
  args: readonly string[],
): Promise<Intention> {
  const [first, second] = args as [string, string | undefined];
  if (second !== undefined) {
    const found = await findExact(
      agent,
      { SourceName: first, DestinationName: second },
      "Error reading the intention",
    );
    if (found !== undefined) return found;
    throw new CommandFailure(
      `Intention not found with source ${JSON.stringify(first)} and destination ` +
        JSON.stringify(second),
    );
  }
  try {
    return await agent.json<Intention>("GET", `/v1/connect/intentions/${pathEscape(first)}`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const why = error.status === 0
      ? error.message
      : `Unexpected response ${error.status}: ${error.body}`;
    throw new CommandFailure(`Error reading the intention: ${why}`);
  }
}

async function get({ args, api, terminal }: CommandContext): Promise<number> {
  if (args.length < 1 || args.length > 2) {
    throw new CommandFailure("Error: command requires exactly 1 or 2 arguments");
  }
  const intention = await findOne(api(), args);
  const meta = Object.entries(intention.Meta ?? {}).sort(([a], [b]) => a < b ? -1 : 1);
  const rows: [string, string][] = [
    ["Source:", intention.SourceName],
    ["Destination:", intention.DestinationName],
    ["Action:", intention.Action ?? ""],
    ...(intention.ID ? [["ID:", intention.ID] as [string, string]] : []),
    ...(intention.Description ? [["Description:", intention.Description] as [string, string]] : []),
    ...meta.map(([name, value]) => [`Meta[${name}]:`, value] as [string, string]),
    ...(intention.CreatedAt
      ? [["Created At:", formatRfc850(new Date(intention.CreatedAt))] as [string, string]]
      : []),
  ];
  terminal.out(formatColumns(rows));
  return 0;
}

/** In the zone of this machine. */
function formatRfc850(time: Date): string {
  const part = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat("en-US", options).format(time);
  const two = (value: number) => String(value).padStart(2, "0");
  const zone = new Intl.DateTimeFormat("en-US", { timeZoneName: "short" }).formatToParts(time)
    .find(({ type }) => type === "timeZoneName")!.value;
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":");
  return `${part({ weekday: "long" })}, ${two(time.getDate())}-${part({ month: "short" })}-` +
    `${two(time.getFullYear() % 100)} ${clock} ${zone}`;
}

async function remove({ args, api, terminal }: CommandContext): Promise<number> {
  if (args.length < 1 || args.length > 2) {
    throw new CommandFailure("command requires exactly 1 or 2 arguments");
  }
  const agent = api();
  const [first, second] = args as [string, string | undefined];
  await ask(
    "Error deleting the intention",
    second === undefined
      ? agent.call("DELETE", `/v1/connect/intentions/${pathEscape(first)}`)
      : agent.call("DELETE", "/v1/connect/intentions/exact", {
        query: { source: first, destination: second },
      }),
  );
  terminal.out("Intention deleted.\n");
  return 0;
}

async function list({ api, terminal }: CommandContext): Promise<number> {
  const found = await ask(
    "Failed to retrieve the intentions list",
    api().json<Intention[]>("GET", "/v1/connect/intentions"),
  );
  if (found.length === 0) throw new CommandFailure("There are no intentions.", noneStatus);
  const rows = found.map((intention) => [
    intention.ID ?? "",
    intention.SourceName,
    intention.Action ?? "",
    intention.DestinationName,
    String(intention.Precedence ?? 0),
  ]);
  terminal.out(formatColumns([["ID", "Source", "Action", "Destination", "Precedence"], ...rows]));
  return 0;
}

async function match({ args, flags, api, terminal }: CommandContext): Promise<number> {
  const [name] = args;
  if (name === undefined || args.length > 1) {
    throw new CommandFailure("Error: command requires exactly one argument: src or dst");
  }
  if (flags.bool("source") && flags.bool("destination")) {
    throw new CommandFailure("Error: only one of -source or -destination may be specified");
  }
  const by = flags.bool("source") ? "source" : "destination";
  const found = await ask(
    "Error matching the connection",
    api().json<Record<string, Intention[]>>("GET", "/v1/connect/intentions/match", {
      query: { by, name },
    }),
  );
  for (const { SourceName, DestinationName, Action, Permissions } of found[name] ?? []) {
    const action = Action || `${Permissions?.length ?? 0} permissions`;
    terminal.out(`${SourceName} => ${DestinationName} (${action})\n`);
  }
  return 0;
}
