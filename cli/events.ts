// `event`, `keyring`, `rtt`: what goes through gossip.

import { ApiError } from "./api.ts";
import type { ApiClient } from "./api.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { commandHelp } from "./help.ts";
import { ask, CommandFailure, refuseWithHelp } from "./refusal.ts";

const relayFactorMax = 5;

export const commands: readonly Command[] = [
  {
    path: "event",
    summary: "Fire a new event",
    usage: "[options] [payload]",
    flags: [
      flag("name", "string", "Name of the event."),
      flag("node", "string", "Regular expression to filter on node names."),
      flag("service", "string", "Regular expression to filter on service instances."),
      flag("tag", "string", "Regular expression to filter on service tags; needs -service."),
    ],
    isClient: true,
    isServerCall: true,
    run: event,
  },
  {
    path: "keyring",
    summary: "Manages gossip layer encryption keys",
    usage: "[options]",
    flags: [
      flag("install", "string", "Install a new encryption key."),
      flag("list", "bool", "List all keys currently in use within the cluster."),
      flag("list-primary", "bool", "List all primary keys currently in use within the cluster."),
      flag("local-only", "bool", "Only ask the agent's own node (with -list)."),
      flag("relay-factor", "int", "How many nodes pass answers on, 0 to 5."),
      flag("remove", "string", "Remove the given key from the cluster."),
      flag("use", "string", "Change the primary encryption key."),
    ],
    isClient: true,
    run: keyring,
  },
  {
    path: "rtt",
    summary: "Estimates network round trip time between nodes",
    usage: "[options] node1 [node2]",
    flags: [flag("wan", "bool", "Use WAN coordinates instead of LAN coordinates.")],
    isClient: true,
    run: rtt,
  },
];

/** Throws CommandFailure when the text is no regular expression. */
export function checkPattern(text: string, what: string): void {
  try {
    new RegExp(text);
  } catch (error) {
    throw new CommandFailure(
      `Failed to compile ${what} filter regexp: ${(error as Error).message}`,
    );
  }
}

/** The filters that `event` and `exec` share. */
export function checkFilters(flags: CommandContext["flags"]): void {
  if (flags.string("tag") !== "" && flags.string("service") === "") {
    throw new CommandFailure("Cannot provide tag filter without service filter.");
  }
  for (const name of ["node", "service", "tag"]) checkPattern(flags.string(name), name);
}

export async function agentSelf(agent: ApiClient, prefix: string) {
  return await ask(
    prefix,
    agent.json<{ Config: { NodeName: string; Datacenter: string } }>("GET", "/v1/agent/self"),
  );
}

async function event(context: CommandContext): Promise<number> {
  const { args, flags, api, terminal } = context;
  const name = flags.string("name");
  if (name === "") refuseWithHelp(context, "Event name must be specified");
  checkFilters(flags);
  if (args.length > 1) refuseWithHelp(context, "Too many command line arguments.");
  const agent = api();
  await agentSelf(agent, "Error querying Consul agent");
  const query = Object.fromEntries(
    ["node", "service", "tag"].map((filter) => [filter, flags.string(filter)])
      .filter(([, text]) => text !== ""),
  );
  const { ID } = await ask(
    "Error firing event",
    agent.json<{ ID: string }>("PUT", `/v1/event/fire/${encodeURIComponent(name)}`, {
      query,
      ...(args[0] === undefined ? {} : { body: args[0] }),
    }),
  );
  terminal.out(`Event ID: ${ID}\n`);
  return 0;
}

interface KeyringReply {
  WAN: boolean;
  Datacenter: string;
  Segment: string;
  Messages: Record<string, string> | null;
  Keys: Record<string, number>;
  PrimaryKeys: Record<string, number>;
  NumNodes: number;
}

async function keyring(context: CommandContext): Promise<number> {
  const { flags, api, terminal, command, program } = context;
  const actions = ["install", "use", "remove", "list", "list-primary"].filter((name) =>
    flags.has(name)
  );
  if (actions.length !== 1) {
    throw new CommandFailure(
      actions.length === 0
        ? commandHelp(program, command).trimEnd()
        : "Only a single action is allowed",
    );
  }
  const factor = flags.int("relay-factor");
  if (factor < 0 || factor > relayFactorMax) {
    throw new CommandFailure(`Relay factor must be in range: [0, ${relayFactorMax}]`);
  }
  const query: Record<string, string> = {
    ...(factor === 0 ? {} : { "relay-factor": String(factor) }),
    ...(flags.bool("local-only") ? { "local-only": "true" } : {}),
  };
  const action = actions[0]!;
  terminal.out(`==> ${progressOf(action)}\n`);
  try {
    if (action === "list" || action === "list-primary") {
      const replies = await api().json<KeyringReply[]>("GET", "/v1/operator/keyring", { query });
      const isPrimary = action === "list-primary";
      for (const reply of replies) terminal.out(keyringText(reply, isPrimary));
      return 0;
    }
    const method = action === "install" ? "POST" : action === "use" ? "PUT" : "DELETE";
    await api().call(method, "/v1/operator/keyring", {
      query,
      body: { Key: flags.string(action) },
    });
    return 0;
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw new CommandFailure(`error: ${error.message}`);
  }
}

function progressOf(action: string): string {
  switch (action) {
    case "install":
      return "Installing new gossip encryption key...";
    case "use":
      return "Changing primary gossip encryption key...";
    case "remove":
      return "Removing gossip encryption key...";
    case "list-primary":
      return "Gathering installed primary encryption keys...";
    default:
      return "Gathering installed encryption keys...";
  }
}

function keyringText(reply: KeyringReply, isPrimary: boolean): string {
  const segment = reply.Segment ? ` [${reply.Segment}]` : "";
  const pool = reply.WAN ? "WAN" : `${reply.Datacenter} (LAN)${segment}`;
  const messages = Object.entries(reply.Messages ?? {}).sort(([a], [b]) => a < b ? -1 : 1);
  const keys = Object.entries(isPrimary ? reply.PrimaryKeys ?? {} : reply.Keys ?? {});
  return `\n${pool}:\n` +
    messages.map(([node, text]) => `  ===> ${node}: ${text}\n`).join("") +
    keys.sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, count]) => `  ${key} [${count}/${reply.NumNodes}]\n`).join("");
}

interface Coordinate {
  Vec: number[];
  Error: number;
  Adjustment: number;
  Height: number;
}

interface NodeCoordinate {
  Node: string;
  Coord: Coordinate;
}

async function rtt(context: CommandContext): Promise<number> {
  const { args, flags, api, terminal } = context;
  if (args.length < 1 || args.length > 2) {
    refuseWithHelp(context, "One or two node names must be specified");
  }
  const agent = api();
  const isWan = flags.bool("wan");
  let [first, second] = args as [string, string | undefined];
  if (second === undefined) {
    const { Config } = await agentSelf(agent, "Unable to look up agent info");
    second = isWan ? `${Config.NodeName}.${Config.Datacenter}` : Config.NodeName;
  }
  const known = isWan ? await wanCoordinates(agent) : await lanCoordinates(agent);
  const [a, b] = [first, second].map((name) => {
    const coordinate = known.get(name!);
    if (coordinate === undefined) {
      throw new CommandFailure(`Could not find a coordinate for node ${JSON.stringify(name)}`);
    }
    return coordinate;
  }) as [Coordinate, Coordinate];
  const ms = (distanceSeconds(a, b) * 1000).toFixed(3);
  const source = isWan ? "WAN" : "LAN";
  terminal.out(`Estimated ${first} <-> ${second} rtt: ${ms} ms (using ${source} coordinates)\n`);
  return 0;
}

async function lanCoordinates(agent: ApiClient): Promise<Map<string, Coordinate>> {
  const nodes = await ask(
    "Error getting coordinates",
    agent.json<NodeCoordinate[]>("GET", "/v1/coordinate/nodes"),
  );
  return new Map(nodes.map(({ Node, Coord }) => [Node, Coord]));
}

async function wanCoordinates(agent: ApiClient): Promise<Map<string, Coordinate>> {
  const datacenters = await ask(
    "Error getting coordinates",
    agent.json<{ Datacenter: string; Coordinates: NodeCoordinate[] | null }[]>(
      "GET",
      "/v1/coordinate/datacenters",
    ),
  );
  return new Map(
    datacenters.flatMap(({ Datacenter, Coordinates }) =>
      (Coordinates ?? []).map(({ Node, Coord }) =>
        [Node.includes(".") ? Node : `${Node}.${Datacenter}`, Coord] as const
      )
    ),
  );
}

/** The Vivaldi estimate; adjustments count only while the result stays positive. */
function distanceSeconds(a: Coordinate, b: Coordinate): number {
  const squares = a.Vec.reduce((sum, value, i) => sum + (value - (b.Vec[i] ?? 0)) ** 2, 0);
  const raw = Math.sqrt(squares) + a.Height + b.Height;
  const adjusted = raw + a.Adjustment + b.Adjustment;
  return adjusted > 0 ? adjusted : raw;
}
