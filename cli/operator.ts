// `operator`: Raft's servers, autopilot, usage counts.

import { DurationError, formatDuration, parseDuration } from "#shared/consul/duration.ts";
import { FlagError } from "#shared/config/go-flags.ts";
import { ApiError } from "./api.ts";
import { formatColumns, formatTabs } from "./columns.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure, refuseArguments } from "./refusal.ts";

interface RaftServer {
  ID: string;
  Node: string;
  Address: string;
  Leader: boolean;
  ProtocolVersion: string;
  Voter: boolean;
  LastIndex: number;
}

interface AutopilotConfig {
  CleanupDeadServers: boolean;
  LastContactThreshold: string;
  MaxTrailingLogs: number;
  MinQuorum: number;
  ServerStabilizationTime: string;
  RedundancyZoneTag: string;
  DisableUpgradeMigration: boolean;
  UpgradeVersionTag: string;
  ModifyIndex: number;
}

interface AutopilotServer {
  ID: string;
  Name: string;
  Address: string;
  NodeStatus: string;
  Version: string;
  LastContact: string;
  LastTerm: number;
  LastIndex: number;
  Healthy: boolean;
  Status: string;
  Meta: Record<string, string> | null;
  NodeType: string;
}

interface AutopilotState {
  Healthy: boolean;
  FailureTolerance: number;
  OptimisticFailureTolerance: number;
  Servers: Record<string, AutopilotServer>;
  Leader: string;
  Voters: string[];
}

const reach = { isClient: true, isServerCall: true };

export const commands: readonly Command[] = [
  {
    path: "operator autopilot get-config",
    summary: "Display the current Autopilot configuration",
    usage: "[options]",
    ...reach,
    run: showAutopilot,
  },
  {
    path: "operator autopilot set-config",
    summary: "Modify the current Autopilot configuration",
    usage: "[options]",
    flags: [
      flag("cleanup-dead-servers", "bool", "Remove dead servers when a new one joins."),
      flag("max-trailing-logs", "uint", "How many log entries a healthy server may trail."),
      flag("min-quorum", "uint", "Least number of servers that stay."),
      flag("last-contact-threshold", "string", "Longest time without contact when healthy."),
      flag("server-stabilization-time", "string", "How long a new server must be healthy."),
    ],
    ...reach,
    run: changeAutopilot,
  },
  {
    path: "operator autopilot state",
    summary: "Display the current Autopilot state",
    usage: "[options]",
    flags: [flag("format", "string", "Output format {pretty|json}")],
    ...reach,
    run: showState,
  },
  {
    path: "operator raft list-peers",
    summary: "Display the current Raft peer configuration",
    usage: "[options]",
    ...reach,
    run: listPeers,
  },
  {
    path: "operator raft remove-peer",
    summary: "Remove a Consul server from the Raft configuration",
    usage: "[options]",
    flags: [
      flag("address", "string", "The address to remove from the Raft configuration."),
      flag("id", "string", "The ID to remove from the Raft configuration."),
    ],
    ...reach,
    run: removePeer,
  },
  {
    path: "operator raft transfer-leader",
    summary: "Transfer raft leadership to another node",
    usage: "[options]",
    flags: [flag("id", "string", "The ID of the server that takes over.")],
    ...reach,
    run: transferLeader,
  },
  {
    path: "operator usage instances",
    summary: "Display service instance usage",
    usage: "[options]",
    flags: [
      flag("all-datacenters", "bool", "Display instances of all datacenters."),
      flag("billable", "bool", "Display only billable service instances."),
      flag("connect", "bool", "Display only Connect service instances."),
    ],
    ...reach,
    run: usage,
  },
];

async function listPeers({ args, api, terminal }: CommandContext): Promise<number> {
  refuseArguments(args);
  const { Servers } = await ask(
    "Error getting peers: Failed to retrieve raft configuration",
    api().json<{ Servers: RaftServer[] }>("GET", "/v1/operator/raft/configuration"),
  );
  const leaderIndex = Servers.find(({ Leader }) => Leader)?.LastIndex ?? 0;
  const rows = Servers.map((server) => [
    server.Node,
    server.ID,
    server.Address,
    server.Leader ? "leader" : "follower",
    String(server.Voter),
    server.ProtocolVersion || "<=1",
    String(server.LastIndex),
    server.Leader ? "-" : trailing(leaderIndex - server.LastIndex),
  ]);
  const header = ["Node", "ID", "Address", "State", "Voter", "RaftProtocol", "Commit Index"];
  terminal.out(formatColumns([[...header, "Trails Leader By"], ...rows]));
  return 0;
}

function trailing(count: number): string {
  return count === 1 ? "1 commit" : `${count} commits`;
}

async function removePeer({ flags, api, terminal }: CommandContext): Promise<number> {
  const prefix = "Error removing peer";
  const address = flags.string("address");
  const id = flags.string("id");
  if (address === "" && id === "") {
    throw new CommandFailure(`${prefix}: an address or id is required for the peer to remove`);
  }
  if (address !== "" && id !== "") {
    throw new CommandFailure(`${prefix}: cannot give both an address and id`);
  }
  const query: Record<string, string> = address !== "" ? { address } : { id };
  await ask(prefix, api().call("DELETE", "/v1/operator/raft/peer", { query }));
  const what = address !== "" ? `address ${JSON.stringify(address)}` : `id ${JSON.stringify(id)}`;
  terminal.out(`Removed peer with ${what}\n`);
  return 0;
}

async function transferLeader({ flags, api, terminal }: CommandContext): Promise<number> {
  const id = flags.string("id");
  const prefix = "Error transfering leadership: Failed to transfer leadership";
  const query: Record<string, string> = id === "" ? {} : { id };
  try {
    const { Success } = await api().json<{ Success: boolean }>(
      "POST",
      "/v1/operator/raft/transfer-leader",
      { query },
    );
    if (!Success) throw new CommandFailure(`${prefix}: no success`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw new CommandFailure(`${prefix} ${error.message}`);
  }
  terminal.out("Success\n");
  return 0;
}

function readAutopilot(api: CommandContext["api"]): Promise<AutopilotConfig> {
  return ask(
    "Error querying Autopilot configuration",
    api().json<AutopilotConfig>("GET", "/v1/operator/autopilot/configuration"),
  );
}

async function showAutopilot({ api, terminal }: CommandContext): Promise<number> {
  const config = await readAutopilot(api);
  const shown = (text: string) => formatDuration(parseDuration(text));
  terminal.out([
    `CleanupDeadServers = ${config.CleanupDeadServers}`,
    `LastContactThreshold = ${shown(config.LastContactThreshold)}`,
    `MaxTrailingLogs = ${config.MaxTrailingLogs}`,
    `MinQuorum = ${config.MinQuorum}`,
    `ServerStabilizationTime = ${shown(config.ServerStabilizationTime)}`,
    `RedundancyZoneTag = ${JSON.stringify(config.RedundancyZoneTag ?? "")}`,
    `DisableUpgradeMigration = ${config.DisableUpgradeMigration ?? false}`,
    `UpgradeVersionTag = ${JSON.stringify(config.UpgradeVersionTag ?? "")}`,
    "",
  ].join("\n"));
  return 0;
}

async function changeAutopilot({ flags, api, terminal }: CommandContext): Promise<number> {
  const durations = {
    LastContactThreshold: durationFlag(flags, "last-contact-threshold"),
    ServerStabilizationTime: durationFlag(flags, "server-stabilization-time"),
  };
  const config = await readAutopilot(api);
  const changed = {
    ...config,
    ...(flags.has("cleanup-dead-servers")
      ? { CleanupDeadServers: flags.bool("cleanup-dead-servers") }
      : {}),
    ...(flags.has("max-trailing-logs") ? { MaxTrailingLogs: flags.int("max-trailing-logs") } : {}),
    ...(flags.has("min-quorum") ? { MinQuorum: flags.int("min-quorum") } : {}),
    ...Object.fromEntries(Object.entries(durations).filter(([, text]) => text !== "")),
  };
  const { text } = await ask(
    "Error setting Autopilot configuration",
    api().call("PUT", "/v1/operator/autopilot/configuration", {
      query: { cas: String(config.ModifyIndex) },
      body: changed,
    }),
  );
  if (text.trim() !== "true") {
    throw new CommandFailure(
      "Configuration could not be atomically updated, please try again",
    );
  }
  terminal.out("Configuration updated!\n");
  return 0;
}

/** Unlike a flag of the agent, the complaint carries the parser's own text. */
function durationFlag(flags: CommandContext["flags"], name: string): string {
  const text = flags.string(name);
  if (text === "") return "";
  try {
    parseDuration(text);
  } catch (error) {
    if (!(error instanceof DurationError)) throw error;
    throw new FlagError(
      `invalid value ${JSON.stringify(text)} for flag -${name}: ${error.message}`,
    );
  }
  return text;
}

async function showState({ flags, api, terminal }: CommandContext): Promise<number> {
  const format = flags.string("format", "pretty");
  if (format !== "pretty" && format !== "json") {
    throw new CommandFailure(`Unknown format: ${format}`);
  }
  const state = await ask(
    "Error retrieving Autopilot state",
    api().json<AutopilotState>("GET", "/v1/operator/autopilot/state"),
  );
  terminal.out(
    format === "json" ? `${JSON.stringify(state, null, 4)}\n` : `${prettyState(state)}\n`,
  );
  return 0;
}

function prettyState(state: AutopilotState): string {
  const row = (indent: number, name: string, value: unknown) =>
    `${" ".repeat(indent)}${`${name}:`.padEnd(16 + (indent === 0 ? 14 : 0))}${value}\n`;
  const head = [
    row(0, "Healthy", state.Healthy),
    row(0, "Failure Tolerance", state.FailureTolerance),
    row(0, "Optimistic Failure Tolerance", state.OptimisticFailureTolerance),
    row(0, "Leader", state.Leader),
    "Voters:\n",
    ...(state.Voters ?? []).map((id) => `   ${id}\n`),
    "Servers:\n",
  ];
  const servers = Object.values(state.Servers).sort((a, b) => a.ID < b.ID ? -1 : 1);
  return head.join("") + servers.map((server) => prettyServer(server, row)).join("");
}

function prettyServer(
  server: AutopilotServer,
  row: (indent: number, name: string, value: unknown) => string,
): string {
  const meta = Object.entries(server.Meta ?? {}).sort(([a], [b]) => a < b ? -1 : 1);
  return [
    `   ${server.ID}\n`,
    row(6, "Name", server.Name),
    row(6, "Address", server.Address),
    row(6, "Version", server.Version),
    row(6, "Status", server.Status),
    row(6, "Node Type", server.NodeType),
    row(6, "Node Status", server.NodeStatus),
    row(6, "Healthy", server.Healthy),
    row(6, "Last Contact", server.LastContact),
    row(6, "Last Term", server.LastTerm),
    row(6, "Last Index", server.LastIndex),
    ...(meta.length === 0 ? [] : ["      Meta\n"]),
    ...meta.map(([name, value]) => `         ${JSON.stringify(name)}: ${JSON.stringify(value)}\n`),
  ].join("");
}

interface Usage {
  Nodes: number;
  Services: number;
  ServiceInstances: number;
  ConnectServiceInstances: Record<string, number>;
  BillableServiceInstances: number;
}

async function usage({ flags, api, terminal }: CommandContext): Promise<number> {
  const query: Record<string, string> = flags.bool("all-datacenters") ? { global: "" } : {};
  const reply = await ask(
    "Error fetching usage information",
    api().json<{ Usage: Record<string, Usage> }>("GET", "/v1/operator/usage", { query }),
  );
  const byDatacenter = Object.entries(reply.Usage).sort(([a], [b]) => a < b ? -1 : 1);
  const isAll = flags.bool("all-datacenters");
  if (flags.bool("billable") || !flags.bool("connect")) {
    terminal.out(billableText(byDatacenter, isAll));
  }
  if (flags.bool("connect") || !flags.bool("billable")) {
    terminal.out(`Connect Services\n${connectText(byDatacenter, isAll)}`);
  }
  return 0;
}

function billableText(usages: [string, Usage][], isAll: boolean): string {
  const total = usages.reduce((sum, [, use]) => sum + use.BillableServiceInstances, 0);
  const head = `Billable Service Instances Total: ${total}\n` +
    usages.map(([dc, use]) => `${dc} Billable Service Instances: ${use.BillableServiceInstances}\n`)
      .join("");
  const services = usages.map(([dc, use]) => [
    ...(isAll ? [dc] : []),
    String(use.Services),
    String(use.BillableServiceInstances),
  ]);
  const header = [...(isAll ? ["Datacenter"] : []), "Services", "Service instances"];
  const nodes = usages.reduce((sum, [, use]) => sum + use.Nodes, 0);
  const nodeRows = usages.map(([dc, use]) => [dc, String(use.Nodes)]);
  return `${head}\nBillable Services\n${formatTabs([header, ...services])}\n\nNodes\n` +
    `${
      formatTabs([["Datacenter", "Count", "", ""], ...nodeRows, ["", ""], ["Total", String(nodes)]])
    }` +
    "\n\n";
}

function connectText(usages: [string, Usage][], isAll: boolean): string {
  const rows = usages.flatMap(([dc, use]) =>
    Object.entries(use.ConnectServiceInstances).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([kind, count]) => [...(isAll ? [dc] : []), kind, String(count)])
  );
  return formatTabs([[...(isAll ? ["Datacenter"] : []), "Type", "Service instances"], ...rows]);
}
