// Every command group: where its commands are and what its help begins with.

import type { Command } from "./command.ts";
import type { Group } from "./help.ts";

interface CommandModule {
  commands: readonly Command[];
}

export interface CommandFamily {
  /** First word of its commands. */
  name: string;
  summary: string;
  /** Set when the word alone is no command; further ones for groups within it. */
  groups: readonly Group[];
  load(): Promise<CommandModule>;
}

function single(
  name: string,
  summary: string,
  load: () => Promise<CommandModule>,
): CommandFamily {
  return { name, summary, groups: [], load };
}

function family(
  name: string,
  summary: string,
  load: () => Promise<CommandModule>,
  usage = "<subcommand> [options] [args]",
  inner: readonly Group[] = [],
): CommandFamily {
  return { name, summary, groups: [{ path: name, summary, usage }, ...inner], load };
}

const gossip = () => import("./events.ts");
const node = () => import("./node.ts");
const inspect = () => import("./inspect.ts");
const members = () => import("./members.ts");

export const families: readonly CommandFamily[] = [
  single("agent", "Runs a node: all of its daemons", () => import("./agent/command.ts")),
  family("catalog", "Interact with the catalog", () => import("./catalog.ts")),
  single("event", "Fire a new event", gossip),
  single("force-leave", "Forces a member to enter the 'left' state", members),
  single("info", "Provides debugging information for operators", node),
  single("join", "Tell the agent to join a cluster", members),
  single("keygen", "Generates a new encryption key", () => import("./local.ts")),
  single("keyring", "Manages gossip layer encryption keys", gossip),
  family("kv", "Interact with the key-value store", () => import("./kv.ts")),
  single("leave", "Gracefully leaves the cluster and shuts down", members),
  single("maint", "Controls node or service maintenance mode", node),
  single("lock", "Execute a command holding a lock", () => import("./lock.ts")),
  single("logs", "Shows the last log lines of a daemon", inspect),
  single("metrics", "Shows the metrics of a daemon", inspect),
  single("members", "Lists the members of a cluster", members),
  single("monitor", "Stream logs from a Consul agent", node),
  family(
    "operator",
    "Provides cluster-level tools for Consul operators",
    () => import("./operator.ts"),
    "<subcommand> [options]",
    [
      {
        path: "operator autopilot",
        summary: "Provides tools for modifying Autopilot configuration",
        usage: "<subcommand> [options]",
      },
      {
        path: "operator raft",
        summary: "Provides cluster-level tools for Consul operators",
        usage: "<subcommand> [options]",
      },
      {
        path: "operator usage",
        summary: "Provides cluster-level usage information",
        usage: "<subcommand> [options]",
      },
    ],
  ),
  single("ps", "Shows the daemons of this node", inspect),
  single("reload", "Triggers the agent to reload its configuration", node),
  single("rtt", "Estimates network round trip time between nodes", gossip),
  family("services", "Interact with services", () => import("./services.ts")),
  family(
    "snapshot",
    "Saves, restores and inspects snapshots of Consul server state",
    () => import("./snapshot.ts"),
  ),
  single("validate", "Validate config files/directories", () => import("./local.ts")),
  single("version", "Prints the version", () => import("./local.ts")),
  single("watch", "Watch for changes in Consul", () => import("./watch.ts")),
];
