// `peering`: connections to clusters that are run apart.

import { pathEscape } from "./api.ts";
import { formatColumns, formatMap } from "./columns.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag, keyValues } from "./flags.ts";
import { ask, CommandFailure, refuseArguments } from "./refusal.ts";

interface Peering {
  ID: string;
  Name: string;
  State: string;
  Meta: Record<string, string> | null;
  PeerID?: string;
  PeerServerName?: string;
  PeerServerAddresses?: string[] | null;
  StreamStatus?: { ImportedServices?: string[] | null; ExportedServices?: string[] | null };
  CreateIndex: number;
  ModifyIndex: number;
}

const nameFlag = flag("name", "string", "(Required) The name of the peer.");
const formatFlag = flag("format", "string", "Output format {pretty|json}");
const metaFlag = flag("meta", "strings", "Metadata to keep with the peering, `key=value`.");
const reach = { isClient: true, isServerCall: true, hasPartition: true };

export const commands: readonly Command[] = [
  {
    path: "peering delete",
    summary: "Delete a peering connection",
    usage: "[options] -name <peer name>",
    flags: [nameFlag],
    ...reach,
    run: remove,
  },
  {
    path: "peering establish",
    summary: "Establish a peering connection",
    usage: "[options] -name <peer name> -peering-token <token>",
    flags: [nameFlag, metaFlag, flag("peering-token", "string", "(Required) The peering token.")],
    ...reach,
    run: establish,
  },
  {
    path: "peering generate-token",
    summary: "Generate a peering token",
    usage: "[options] -name <peer name>",
    flags: [
      nameFlag,
      formatFlag,
      metaFlag,
      flag("server-external-addresses", "string", "Addresses of servers, separated by commas."),
    ],
    ...reach,
    run: generateToken,
  },
  {
    path: "peering list",
    summary: "List peering connections",
    usage: "[options]",
    flags: [formatFlag],
    ...reach,
    run: list,
  },
  {
    path: "peering read",
    summary: "Read a peering connection",
    usage: "[options] -name <peer name>",
    flags: [nameFlag, formatFlag],
    ...reach,
    run: read,
  },
];

function required(flags: CommandContext["flags"], name: string): string {
  const value = flags.string(name);
  if (value === "") throw new CommandFailure(`Missing the required -${name} flag`);
  return value;
}

function isJson(flags: CommandContext["flags"]): boolean {
  const format = flags.string("format", "pretty");
  if (format !== "pretty" && format !== "json") {
    throw new CommandFailure("Invalid format, valid formats are {pretty|json}");
  }
  return format === "json";
}

async function list({ args, flags, api, terminal }: CommandContext): Promise<number> {
  refuseArguments(args);
  const asJson = isJson(flags);
  const found = await ask(
    "Error listing peerings",
    api().json<Peering[]>("GET", "/v1/peerings"),
  );
  if (asJson) {
    terminal.out(`${JSON.stringify(found, null, 2)}\n`);
    return 0;
  }
  if (found.length === 0) {
    terminal.out("There are no peering connections.\n");
    return 0;
  }
  const rows = [...found].sort((a, b) => a.Name < b.Name ? -1 : 1).map((peering) => [
    peering.Name,
    peering.State,
    String(peering.StreamStatus?.ImportedServices?.length ?? 0),
    String(peering.StreamStatus?.ExportedServices?.length ?? 0),
    formatMap(peering.Meta, ","),
  ]);
  terminal.out(
    formatColumns([["Name", "State", "Imported Svcs", "Exported Svcs", "Meta"], ...rows]),
  );
  return 0;
}

async function read({ flags, api, terminal }: CommandContext): Promise<number> {
  const name = required(flags, "name");
  const asJson = isJson(flags);
  const { status, text } = await ask(
    "Error reading peering",
    api().call("GET", `/v1/peering/${pathEscape(name)}`, { accept: [404] }),
  );
  if (status === 404) throw new CommandFailure(`No peering with name ${name} found.`);
  const peering = JSON.parse(text) as Peering;
  if (asJson) {
    terminal.out(`${JSON.stringify(peering, null, 2)}\n`);
    return 0;
  }
  const row = (label: string, value: unknown) => `${`${label}:`.padEnd(13)}${value}\n`;
  const meta = Object.entries(peering.Meta ?? {}).sort(([a], [b]) => a < b ? -1 : 1);
  terminal.out(
    [
      row("Name", peering.Name),
      row("ID", peering.ID),
      row("State", peering.State),
      ...(meta.length === 0 ? [] : ["Meta:\n"]),
      ...meta.map(([key, value]) => `    ${key}=${value}\n`),
      "\n",
      row("Peer ID", peering.PeerID ?? ""),
      row("Peer Server Name", peering.PeerServerName ?? ""),
      row("Imported Services", peering.StreamStatus?.ImportedServices?.length ?? 0),
      row("Exported Services", peering.StreamStatus?.ExportedServices?.length ?? 0),
      "\n",
      row("Create Index", peering.CreateIndex),
      row("Modify Index", peering.ModifyIndex),
    ].join(""),
  );
  return 0;
}

async function remove({ flags, api, terminal }: CommandContext): Promise<number> {
  const name = required(flags, "name");
  await ask(
    `Error deleting peering for ${name}`,
    api().call("DELETE", `/v1/peering/${pathEscape(name)}`),
  );
  terminal.out(`Successfully submitted peering connection, ${name}, for deletion\n`);
  return 0;
}

async function generateToken({ flags, api, terminal }: CommandContext): Promise<number> {
  const PeerName = required(flags, "name");
  const asJson = isJson(flags);
  const addresses = flags.string("server-external-addresses");
  const reply = await ask(
    `Error generating peering token for ${PeerName}`,
    api().json<{ PeeringToken: string }>("POST", "/v1/peering/token", {
      body: {
        PeerName,
        ...(flags.has("meta") ? { Meta: keyValues(flags.strings("meta")) } : {}),
        ...(addresses === "" ? {} : { ServerExternalAddresses: addresses.split(",") }),
      },
    }),
  );
  terminal.out(asJson ? `${JSON.stringify(reply, null, 2)}\n` : `${reply.PeeringToken}\n`);
  return 0;
}

async function establish({ flags, api, terminal }: CommandContext): Promise<number> {
  const PeerName = required(flags, "name");
  const PeeringToken = required(flags, "peering-token");
  await ask(
    `Error establishing peering for ${PeerName}`,
    api().call("POST", "/v1/peering/establish", {
      body: {
        PeerName,
        PeeringToken,
        ...(flags.has("meta") ? { Meta: keyValues(flags.strings("meta")) } : {}),
      },
    }),
  );
  terminal.out(`Successfully established peering connection with ${PeerName}\n`);
  return 0;
}
