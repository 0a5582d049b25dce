// `operator`: Raft's servers; autopilot and usage have files of their own.

import { ApiError } from "./api.ts";
import { autopilotCommands } from "./autopilot.ts";
import { formatColumns } from "./columns.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure, refuseArguments } from "./refusal.ts";
import { usageCommands } from "./usage.ts";

interface RaftServer {
  ID: string;
  Node: string;
  Address: string;
  Leader: boolean;
  ProtocolVersion: string;
  Voter: boolean;
  LastIndex: number;
}

const reach = { isClient: true, isServerCall: true };

export const commands: readonly Command[] = [
  ...autopilotCommands,
  ...usageCommands,
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
