// Commands about the cluster's membership: members, join, leave, force-leave.

import { ApiError, pathEscape } from "./api.ts";
import type { ApiClient } from "./api.ts";
import { formatColumns, formatMap } from "./columns.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure, refuseWithHelp } from "./refusal.ts";
import type { Command, CommandContext } from "./command.ts";
import { commandHelp } from "./help.ts";

interface Member {
  Name: string;
  Addr: string;
  Port: number;
  Tags: Record<string, string>;
  Status: number;
}

const noMatchStatus = 2;
/** Serf's numbers. */
const statusNames = ["none", "alive", "leaving", "left", "failed"];

export const commands: readonly Command[] = [
  {
    path: "members",
    summary: "Lists the members of a Consul cluster",
    usage: "[options]",
    help: "Outputs the members of a running Consul agent.",
    flags: [
      flag("detailed", "bool", "Provides detailed information about nodes."),
      flag("filter", "string", "Filter to use with the request."),
      flag("segment", "string", "Only members of this network segment (Enterprise)."),
      flag("status", "string", "Only nodes whose status matches this regular expression."),
      flag("wan", "bool", "The other servers of the WAN pool, in server mode only."),
    ],
    isClient: true,
    hasPartition: true,
    run: members,
  },
  {
    path: "join",
    summary: "Tell Consul agent to join cluster",
    usage: "[options] address ...",
    flags: [flag("wan", "bool", "Joins a server to another server in the WAN pool.")],
    isClient: true,
    run: join,
  },
  {
    path: "leave",
    summary: "Gracefully leaves the Consul cluster and shuts down",
    usage: "[options]",
    isClient: true,
    run: leave,
  },
  {
    path: "force-leave",
    summary: 'Forces a member of the cluster to enter the "left" state',
    usage: "[options] name",
    flags: [
      flag("prune", "bool", "Remove agent completely from list of members."),
      flag("wan", "bool", "Exclusively leave from the WAN pool."),
    ],
    isClient: true,
    hasPartition: true,
    run: forceLeave,
  },
];

async function members({ flags, api, terminal }: CommandContext): Promise<number> {
  let pattern: RegExp;
  try {
    pattern = new RegExp(flags.string("status", ".*"));
  } catch (error) {
    throw new CommandFailure(`Failed to compile status regexp: ${(error as Error).message}`);
  }
  const isWan = flags.bool("wan");
  const query = {
    ...(isWan ? { wan: "1" } : {}),
    ...(flags.string("filter") === "" ? {} : { filter: flags.string("filter") }),
    segment: flags.string("segment", "_all"),
  };
  const found = await ask(
    "Error retrieving members",
    api().json<Member[]>("GET", "/v1/agent/members", { query }),
  );
  const shown = found.filter((member) => pattern.test(statusOf(member))).sort(serversFirst);
  if (shown.length === 0) return noMatchStatus;
  terminal.out(formatColumns(flags.bool("detailed") ? detailed(shown) : standard(shown)));
  return 0;
}

function statusOf(member: Member): string {
  return statusNames[member.Status] ?? "unknown";
}

function isServer(member: Member): boolean {
  return member.Tags["role"] === "consul";
}

function serversFirst(a: Member, b: Member): number {
  if (isServer(a) !== isServer(b)) return isServer(a) ? -1 : 1;
  return a.Name < b.Name ? -1 : a.Name > b.Name ? 1 : 0;
}

function standard(found: readonly Member[]): string[][] {
  const header = [
    "Node",
    "Address",
    "Status",
    "Type",
    "Build",
    "Protocol",
    "DC",
    "Partition",
    "Segment",
  ];
  const rows = found.map((member) => {
    const { Tags } = member;
    const build = Tags["build"] ?? "";
    const colon = build.indexOf(":");
    const type = isServer(member) ? "server" : Tags["role"] === "node" ? "client" : "unknown";
    return [
      member.Name,
      addressOf(member),
      statusOf(member),
      type,
      type === "unknown" ? "unknown" : colon < 0 ? build : build.slice(0, colon),
      Tags["vsn"] ?? "",
      Tags["dc"] ?? "",
      Tags["ap"] || "default",
      isServer(member) ? "<all>" : Tags["segment"] || "<default>",
    ];
  });
  return [header, ...rows];
}

function detailed(found: readonly Member[]): string[][] {
  const rows = found.map((member) => {
    const tags = isServer(member) ? { ...member.Tags, segment: "<all>" } : member.Tags;
    return [member.Name, addressOf(member), statusOf(member), formatMap(tags, ",")];
  });
  return [["Node", "Address", "Status", "Tags"], ...rows];
}

function addressOf(member: Member): string {
  const host = member.Addr.includes(":") ? `[${member.Addr}]` : member.Addr;
  return `${host}:${member.Port}`;
}

async function join(context: CommandContext): Promise<number> {
  const { args, flags, api, terminal } = context;
  if (args.length === 0) {
    refuseWithHelp(context, "At least one address to join must be specified.");
  }
  const agent = api();
  let joined = 0;
  for (const address of args) {
    try {
      await agent.call("PUT", `/v1/agent/join/${pathEscape(address).replaceAll("%3A", ":")}`, {
        query: flags.bool("wan") ? { wan: "1" } : {},
      });
      joined++;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      terminal.err(`Error joining address '${address}': ${error.message}\n`);
    }
  }
  if (joined === 0) throw new CommandFailure("Failed to join any nodes.");
  terminal.out(`Successfully joined cluster by contacting ${joined} nodes.\n`);
  return 0;
}

async function leave(context: CommandContext): Promise<number> {
  const { args, api, terminal, command, program } = context;
  if (args.length > 0) {
    terminal.err(`Error found unexpected args: [${args.join(" ")}]\n`);
    terminal.out(commandHelp(program, command));
    return 1;
  }
  await put(api(), "/v1/agent/leave", "Error leaving");
  terminal.out("Graceful leave complete\n");
  return 0;
}

async function forceLeave(context: CommandContext): Promise<number> {
  const { args, flags, api } = context;
  const [name] = args;
  if (name === undefined || args.length > 1) {
    refuseWithHelp(context, "A single node name must be specified to force leave.");
  }
  await put(api(), `/v1/agent/force-leave/${pathEscape(name!)}`, "Error force leaving", {
    ...(flags.bool("prune") ? { prune: "1" } : {}),
    ...(flags.bool("wan") ? { wan: "1" } : {}),
  });
  return 0;
}

async function put(
  agent: ApiClient,
  path: string,
  prefix: string,
  query: Record<string, string> = {},
): Promise<void> {
  await ask(prefix, agent.call("PUT", path, { query }));
}
