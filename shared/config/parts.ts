// Which groups of the configuration each daemon gets.

import type { DaemonName } from "./key.ts";
import type { EffectiveConfig } from "./types.ts";

const common = ["hash", "node", "dataDir", "runDir", "dev", "server", "log"] as const;

const parts = {
  raftd: [
    "bootstrap",
    "bootstrapExpect",
    "addresses",
    "ports",
    "raft",
    "autopilot",
    "acl",
    "tls",
    "connect",
    "limits",
    "sessionTtlMinMs",
    "tombstone",
    "configEntriesBootstrap",
    "migration",
    "snapshotSchedule",
  ],
  relayd: ["addresses", "ports", "limits", "raft", "tls"],
  gossipd: [
    "bootstrapExpect",
    "bootstrap",
    "addresses",
    "ports",
    "acl",
    "tls",
    "gossip",
    "migration",
    "checkdAbsenceTimeoutMs",
    "readReplica",
    "disableCoordinates",
    "leave",
  ],
  checkd: [
    "addresses",
    "ports",
    "checks",
    "services",
    "checkDefinitions",
    "acl",
    "tls",
    "enableDebug",
  ],
  dnsd: ["addresses", "ports", "dns", "translateWanAddrs", "acl"],
  apid: [
    "addresses",
    "ports",
    "http",
    "ui",
    "limits",
    "cache",
    "unixSockets",
    "translateWanAddrs",
    "telemetry",
    "acl",
    "tls",
    "enableDebug",
    "dns",
    "gossip",
    "leave",
    "connect",
    "raft",
    "autopilot",
    "checks",
  ],
  cad: ["addresses", "dns", "connect", "tls"],
  xdsd: ["addresses", "ports", "connect", "tls"],
} as const satisfies Record<DaemonName, readonly (keyof EffectiveConfig)[]>;

export type DaemonConfig<D extends DaemonName> = Pick<
  EffectiveConfig,
  (typeof common)[number] | (typeof parts)[D][number]
>;

/** Only what the daemon is to see. */
export function daemonConfig<D extends DaemonName>(
  daemon: D,
  config: EffectiveConfig,
): DaemonConfig<D> {
  const wanted: readonly (keyof EffectiveConfig)[] = [...common, ...parts[daemon]];
  return Object.fromEntries(wanted.map((name) => [name, config[name]])) as DaemonConfig<D>;
}
