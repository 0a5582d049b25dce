// Commands about the local agent: info, reload, monitor, maint.

import { ApiError } from "./api.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure, refuseArguments } from "./refusal.ts";
import type { Command, CommandContext } from "./command.ts";

interface AgentSelf {
  Stats: Record<string, Record<string, string>>;
  Config: { NodeName: string; Datacenter: string };
}

interface AgentCheck {
  CheckID: string;
  Notes: string;
  ServiceID: string;
  ServiceName: string;
}

const maintenancePrefix = "_service_maintenance:";

export const commands: readonly Command[] = [
  {
    path: "info",
    summary: "Provides debugging information for operators.",
    usage: "[options]",
    isClient: true,
    run: info,
  },
  {
    path: "reload",
    summary: "Triggers the agent to reload configuration files",
    usage: "",
    isClient: true,
    async run({ args, api, terminal }) {
      refuseArguments(args);
      await ask("Error reloading", api().call("PUT", "/v1/agent/reload"));
      terminal.out("Configuration reload triggered\n");
      return 0;
    },
  },
  {
    path: "monitor",
    summary: "Stream logs from a Consul agent",
    usage: "[options]",
    flags: [
      flag("log-json", "bool", "Output logs in JSON format."),
      flag("log-level", "string", "Log level of the agent."),
    ],
    isClient: true,
    run: monitor,
  },
  {
    path: "maint",
    summary: "Controls node or service maintenance mode",
    usage: "[options]",
    flags: [
      flag("disable", "bool", "Disable maintenance mode."),
      flag("enable", "bool", "Enable maintenance mode."),
      flag("reason", "string", "Text describing the maintenance reason."),
      flag("service", "string", "Control maintenance mode for a specific service ID."),
    ],
    isClient: true,
    run: maint,
  },
];

async function info({ args, api, terminal }: CommandContext): Promise<number> {
  refuseArguments(args);
  const { Stats } = await ask(
    "Error querying agent",
    api().json<AgentSelf>("GET", "/v1/agent/self"),
  );
  for (const group of Object.keys(Stats).sort()) {
    terminal.out(`${group}:\n`);
    const rows = Stats[group] ?? {};
    for (const name of Object.keys(rows).sort()) terminal.out(`\t${name} = ${rows[name]}\n`);
  }
  return 0;
}

async function monitor({ flags, api, terminal }: CommandContext): Promise<number> {
  const query = {
    loglevel: flags.string("log-level", "INFO"),
    ...(flags.bool("log-json") ? { logjson: "" } : {}),
  };
  const prefix = "Error starting monitor";
  const interrupted = new AbortController();
  process.once("SIGINT", () => interrupted.abort());
  const response = await ask(
    prefix,
    api().open("GET", "/v1/agent/monitor", { query, signal: interrupted.signal }),
  );
  if (response.status !== 200) {
    const text = await response.text();
    throw new CommandFailure(`${prefix}: Unexpected response code: ${response.status} (${text})`);
  }
  try {
    for await (const chunk of response.body!) terminal.outBytes(chunk);
  } catch (error) {
    if (interrupted.signal.aborted) return 0;
    throw error;
  }
  terminal.err(
    "Remote side ended the monitor! This usually means that the\n" +
      "remote side has exited or crashed.\n",
  );
  return 1;
}

async function maint({ flags, api, terminal }: CommandContext): Promise<number> {
  const isEnable = flags.bool("enable");
  const isDisable = flags.bool("disable");
  const service = flags.string("service");
  const reason = flags.string("reason");
  if (isEnable && isDisable) {
    throw new CommandFailure("Only one of -enable or -disable may be provided");
  }
  if (!isEnable && reason !== "") {
    throw new CommandFailure("Reason may only be provided with -enable");
  }
  if (!isEnable && !isDisable && service !== "") {
    throw new CommandFailure("Service requires either -enable or -disable");
  }
  const agent = api();
  const prefix = "Error querying Consul agent";
  const { Config } = await ask(prefix, agent.json<AgentSelf>("GET", "/v1/agent/self"));
  if (!isEnable && !isDisable) {
    const checks = await ask(
      "Error getting checks",
      agent.json<Record<string, AgentCheck>>("GET", "/v1/agent/checks"),
    );
    listMaintenance(checks, Config.NodeName, terminal);
    return 0;
  }
  const path = service === ""
    ? "/v1/agent/maintenance"
    : `/v1/agent/service/maintenance/${encodeURIComponent(service)}`;
  const query = { enable: String(isEnable), ...(isEnable ? { reason } : {}) };
  try {
    await agent.call("PUT", path, { query });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const verb = isEnable ? "enabling" : "disabling";
    throw new CommandFailure(
      `Error ${verb} ${service === "" ? "node" : "service"} maintenance: ` +
        error.message,
    );
  }
  const state = isEnable ? "enabled" : "disabled";
  terminal.out(
    service === ""
      ? `Node maintenance is now ${state}\n`
      : `Service maintenance is now ${state} for ${JSON.stringify(service)}\n`,
  );
  return 0;
}

function listMaintenance(
  checks: Record<string, AgentCheck>,
  nodeName: string,
  terminal: CommandContext["terminal"],
): void {
  for (const check of Object.values(checks)) {
    if (check.CheckID === "_node_maintenance") {
      terminal.out(`Node:\n  Name:   ${nodeName}\n  Reason: ${check.Notes}\n\n`);
    } else if (check.CheckID.startsWith(maintenancePrefix)) {
      terminal.out(`Service:\n  ID:     ${check.ServiceID}\n  Reason: ${check.Notes}\n\n`);
    }
  }
}
