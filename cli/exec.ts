// `exec`: runs a command on other nodes, through keys of the KV store and an event.

import { formatDurationMs, parseDurationMs } from "#shared/consul/duration.ts";
import { pathEscape } from "./api.ts";
import type { ApiClient } from "./api.ts";
import type { Command, CommandContext } from "./command.ts";
import { agentSelf, checkFilters } from "./events.ts";
import { flag } from "./flags.ts";
import { openSession } from "./lock.ts";
import { ask, CommandFailure, refuseWithHelp } from "./refusal.ts";
import { readPairs } from "./single-lock.ts";

const eventName = "_rexec";
const defaultWaitMs = 2_000;
const defaultReplicationMs = 200;
const pollMaxMs = 1_000;
const failedStatus = 2;

export const commands: readonly Command[] = [
  {
    path: "exec",
    summary: "Executes a command on Consul nodes",
    usage: "[options] [-|command...]",
    flags: [
      flag("node", "string", "Regular expression to filter on node names."),
      flag("prefix", "string", "Prefix in the KV store to use for request data."),
      flag("service", "string", "Regular expression to filter on service instances."),
      flag("shell", "bool", "Use a shell to run the command (default true)."),
      flag("tag", "string", "Regular expression to filter on service tags; needs -service."),
      flag("verbose", "bool", "Enables verbose output."),
      flag("wait", "duration", "Period to wait with no responses before terminating."),
      flag("wait-repl", "duration", "Period to wait for replication before firing event."),
    ],
    isClient: true,
    isServerCall: true,
    run: exec,
  },
];

async function exec(context: CommandContext): Promise<number> {
  const { args, flags, api, terminal } = context;
  if (args.length === 0) refuseWithHelp(context, "Must specify a command to execute");
  checkFilters(flags);
  const waitMs = parseDurationMs(flags.string("wait", formatDurationMs(defaultWaitMs)));
  const replicationMs = parseDurationMs(
    flags.string("wait-repl", formatDurationMs(defaultReplicationMs)),
  );
  const prefix = flags.string("prefix", eventName);
  const agent = api();
  const job = await jobOf(context, waitMs);
  await agentSelf(agent, "Error querying Consul agent");
  const session = await openSession(agent, "Remote Exec", { Behavior: "delete" });
  const root = `/v1/kv/${pathEscape(prefix)}/${session.id}`;
  try {
    const { text } = await ask(
      "Failed to create job file",
      agent.call("PUT", `${root}/job`, { query: { acquire: session.id }, body: job }),
    );
    if (text.trim() !== "true") throw new CommandFailure("Failed to create job file");
    await Bun.sleep(replicationMs);
    await fire(agent, flags, { Prefix: prefix, Session: session.id });
    return await collect(agent, `${root}/`, `${prefix}/${session.id}/`, waitMs, terminal);
  } finally {
    await session.close();
    await agent.call("DELETE", root, { query: { recurse: "" } }).catch(() => {});
  }
}

async function jobOf({ args, flags, terminal }: CommandContext, waitMs: number): Promise<unknown> {
  const isScript = args[0] === "-";
  const hasShell = flags.bool("shell", true);
  const script = isScript ? Buffer.from(await terminal.stdin()).toString("base64") : null;
  return {
    Command: isScript || !hasShell ? "" : args.join(" "),
    Args: isScript || hasShell ? null : args,
    Script: script,
    Wait: waitMs * 1e6,
  };
}

async function fire(
  agent: ApiClient,
  flags: CommandContext["flags"],
  payload: { Prefix: string; Session: string },
): Promise<void> {
  const query = Object.fromEntries(
    ["node", "service", "tag"].map((name) => [name, flags.string(name)])
      .filter(([, text]) => text !== ""),
  );
  await ask(
    "Failed to fire event",
    agent.call("PUT", `/v1/event/fire/${eventName}`, { query, body: payload }),
  );
}

/** Prints what comes until nothing comes for the wait, which is doubled while nodes still work. */
async function collect(
  agent: ApiClient,
  path: string,
  prefix: string,
  waitMs: number,
  terminal: CommandContext["terminal"],
): Promise<number> {
  const seen = new Set<string>();
  const acknowledged = new Set<string>();
  const exits = new Map<string, number>();
  let index = "";
  let lastMs = performance.now();
  for (;;) {
    const isWorking = exits.size < acknowledged.size;
    const leftMs = lastMs + waitMs * (isWorking ? 2 : 1) - performance.now();
    if (leftMs <= 0) break;
    const reply = await ask(
      "Failed to read the answers",
      readPairs(agent, path, index, Math.min(leftMs, pollMaxMs), { recurse: true }),
    );
    index = reply.index;
    for (const { Key, Value } of reply.pairs) {
      if (seen.has(Key) || Key === `${prefix}job`) continue;
      seen.add(Key);
      lastMs = performance.now();
      const [node, what, piece] = Key.slice(prefix.length).split("/") as [string, string, string];
      const value = Buffer.from(Value ?? "", "base64").toString();
      if (what === "ack") acknowledged.add(node);
      else if (what === "out" && piece !== undefined) showOutput(node, value, terminal);
      else if (what === "exit") {
        exits.set(node, Number(value));
        terminal.out(`==> ${node}: finished with exit code ${value}\n`);
      }
    }
    if (acknowledged.size > 0 && exits.size === acknowledged.size) {
      // Others may still be on their way to acknowledge.
      if (performance.now() - lastMs >= waitMs) break;
    }
  }
  terminal.out(`${exits.size} / ${acknowledged.size} node(s) completed / acknowledged\n`);
  const isFine = exits.size === acknowledged.size &&
    [...exits.values()].every((status) => status === 0);
  return isFine ? 0 : failedStatus;
}

/** An empty piece is a sign of life. */
function showOutput(node: string, text: string, terminal: CommandContext["terminal"]): void {
  if (text === "") return;
  for (const line of text.split("\n")) {
    terminal.out(`    ${node}:${line === "" ? "" : ` ${line}`}\n`);
  }
}
