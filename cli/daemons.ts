// The daemons of a node, in the order in which they start; each is loaded only when it is run.

import type { DaemonName } from "#shared/config/key.ts";

/** What every services/<daemon>/main.ts exports. */
export interface DaemonModule {
  /** Runs until the daemon was told to stop. `argv` is what follows the daemon's name. A module
   *  without it runs when it is loaded. */
  main?(argv: readonly string[]): Promise<void>;
}

export interface Daemon {
  name: DaemonName;
  summary: string;
  onServers: boolean;
  onClients: boolean;
  /** Writes and reads over HTTP need it: it gets the processor before the others at start. */
  isFirst?: boolean;
  load(): Promise<DaemonModule>;
}

/** A daemon of servers only. */
const server = { onServers: true, onClients: false };
const everywhere = { onServers: true, onClients: true };

export const daemons: readonly Daemon[] = [
  {
    name: "raftd",
    summary: "Consensus and the replicated state",
    ...server,
    isFirst: true,
    load: () => import("../services/raftd/main.ts"),
  },
  {
    name: "relayd",
    summary: "Finds the right server",
    ...everywhere,
    load: () => import("../services/relayd/main.ts"),
  },
  {
    name: "gossipd",
    summary: "Who is alive",
    ...everywhere,
    isFirst: true,
    load: () => import("../services/gossipd/main.ts"),
  },
  {
    name: "checkd",
    summary: "Services and checks",
    ...everywhere,
    load: () => import("../services/checkd/main.ts"),
  },
  {
    name: "dnsd",
    summary: "DNS answers",
    ...everywhere,
    load: () => import("../services/dnsd/main.ts"),
  },
  {
    name: "apid",
    summary: "The HTTP API",
    ...everywhere,
    isFirst: true,
    load: () => import("../services/apid/main.ts"),
  },
  {
    name: "cad",
    summary: "Certificates",
    ...everywhere,
    load: () => import("../services/cad/main.ts"),
  },
];

export function daemonsOf(isServer: boolean): Daemon[] {
  return daemons.filter(({ onServers, onClients }) => isServer ? onServers : onClients);
}
