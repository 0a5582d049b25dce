// `operator autopilot`: how the leader looks after its servers.

import { DurationError, formatDuration, parseDuration } from "#shared/consul/duration.ts";
import { FlagError } from "#shared/config/go-flags.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure } from "./refusal.ts";

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

export const autopilotCommands: readonly Command[] = [
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
];

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
