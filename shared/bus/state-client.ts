// The clients that daemons use to reach each other on a node (design: "Addresses").

import { join } from "node:path";
import { BusClient, type BusClientOptions } from "./client.ts";
import type { Address, BusLog, Identity } from "./types.ts";

/** What of a daemon is needed to call another; DaemonContext has it. */
export interface Caller {
  config: { runDir: string; server: boolean };
  identity: Identity;
  log: BusLog;
}

/** The replicated state: raftd on a server, relayd on a client node; while raftd is away a server
 *  goes through relayd to another server. When neither comes in time there is no leader for us. */
export function stateClient(caller: Caller, options: Partial<BusClientOptions> = {}): BusClient {
  const { runDir, server } = caller.config;
  const addresses: Address[] = [{ path: stateSocket(runDir) }];
  if (server) addresses.push({ path: join(runDir, "relayd.sock") });
  return new BusClient({
    addresses,
    daemon: server ? "raftd" : "relayd",
    unreachableCode: server ? "no-leader" : "no-servers",
    identity: caller.identity,
    log: caller.log,
    ...options,
  });
}

/** Another daemon of this node. */
export function daemonClient(
  caller: Caller,
  daemon: string,
  options: Partial<BusClientOptions> = {},
): BusClient {
  return new BusClient({
    addresses: [{ path: join(caller.config.runDir, `${daemon}.sock`) }],
    daemon,
    identity: caller.identity,
    log: caller.log,
    ...options,
  });
}

/** Served by raftd on servers and by relayd on client nodes. */
export function stateSocket(runDir: string): string {
  return join(runDir, "state.sock");
}
