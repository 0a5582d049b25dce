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

const acl = () => import("./acl/commands.ts");
const login = () => import("./acl/login.ts");
const connect = () => import("./connect.ts");
const tls = () => import("./tls.ts");

/** A group within a family. */
function group(path: string, summary: string, usage = "<subcommand> [options] [args]"): Group {
  return { path, summary, usage };
}

export const families: readonly CommandFamily[] = [
  family("acl", "Interact with Consul's ACLs", acl, undefined, [
    group("acl auth-method", "Manage Consul's ACL auth methods"),
    group("acl binding-rule", "Manage Consul's ACL binding rules"),
    group("acl policy", "Manage Consul's ACL policies"),
    group("acl role", "Manage Consul's ACL roles"),
    group("acl templated-policy", "Manage Consul's ACL templated policies"),
    group("acl token", "Manage Consul's ACL tokens"),
  ]),
  single("agent", "Runs a node: all of its daemons", () => import("./agent/command.ts")),
  family("catalog", "Interact with the catalog", () => import("./catalog.ts")),
  family(
    "config",
    "Interact with Consul's Centralized Configurations",
    () => import("./config-entry.ts"),
  ),
  family("connect", "Interact with Consul Connect", connect, undefined, [
    group("connect ca", "Interact with the Consul Connect Certificate Authority (CA)"),
  ]),
  single("event", "Fire a new event", gossip),
  single("exec", "Executes a command on Consul nodes", () => import("./exec.ts")),
  single("force-leave", "Forces a member to enter the 'left' state", members),
  single("info", "Provides debugging information for operators", node),
  family("intention", "Interact with service intentions", () => import("./intention.ts")),
  single("join", "Tell the agent to join a cluster", members),
  single("keygen", "Generates a new encryption key", () => import("./local.ts")),
  single("keyring", "Manages gossip layer encryption keys", gossip),
  family("kv", "Interact with the key-value store", () => import("./kv.ts")),
  single("leave", "Gracefully leaves the cluster and shuts down", members),
  single("maint", "Controls node or service maintenance mode", node),
  single("lock", "Execute a command holding a lock", () => import("./lock.ts")),
  single("login", "Login to Consul using an auth method", login),
  single("logout", "Destroy a Consul token created with login", login),
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
      group(
        "operator autopilot",
        "Provides tools for modifying Autopilot configuration",
        "<subcommand> [options]",
      ),
      group(
        "operator raft",
        "Provides cluster-level tools for Consul operators",
        "<subcommand> [options]",
      ),
      group("operator usage", "Provides cluster-level usage information", "<subcommand> [options]"),
    ],
  ),
  family("peering", "Create and manage peering connections", () => import("./peering.ts")),
  single("ps", "Shows the daemons of this node", inspect),
  single("reload", "Triggers the agent to reload its configuration", node),
  single("rtt", "Estimates network round trip time between nodes", gossip),
  family("services", "Interact with services", () => import("./services.ts")),
  family(
    "snapshot",
    "Saves, restores and inspects snapshots of Consul server state",
    () => import("./snapshot.ts"),
  ),
  family(
    "tls",
    "Builtin helpers for creating CAs and certificates",
    tls,
    "<subcommand> <subcommand> [options]",
    [
      group("tls ca", "Helpers for CAs", "<subcommand> [options] filename-prefix"),
      group("tls cert", "Helpers for certificates", "<subcommand> [options] [filename-prefix]"),
    ],
  ),
  family(
    "troubleshoot",
    "Provides tools to troubleshoot Consul's service mesh configuration",
    () => import("./troubleshoot.ts"),
    "<subcommand> [options]",
  ),
  single("validate", "Validate config files/directories", () => import("./local.ts")),
  single("version", "Prints the version", () => import("./local.ts")),
  single("watch", "Watch for changes in Consul", () => import("./watch.ts")),
];
