// What gossipd takes of the configuration. Nothing of it reloads: sockets, keys and timings are the
// pool's for its life; tags change over the bus.
import { join } from "node:path";
import { release } from "#shared/config/release.ts";
import { isWithin, parseCidr, parseIp } from "#shared/config/ip-address.ts";
import type { EffectiveConfig, GossipPoolConfig } from "#shared/config/types.ts";
import { formatDurationMs } from "#shared/consul/duration.ts";
import { CuriaError } from "#shared/errors.ts";
import { formatAddress, parseAddress } from "./core/address.ts";
import type { Admission } from "./core/consul/admission.ts";
import { wanName } from "./core/consul/flood.ts";
import { ownTags } from "./core/consul/server.ts";
import {
  consulOverrides,
  consulVersions,
  lanProfile,
  type Settings,
  wanProfile,
} from "./core/settings.ts";

export type GossipdConfig = Pick<
  EffectiveConfig,
  | "node"
  | "dataDir"
  | "runDir"
  | "dev"
  | "server"
  | "bootstrap"
  | "bootstrapExpect"
  | "addresses"
  | "ports"
  | "gossip"
  | "acl"
  | "tls"
  | "migration"
  | "checkdAbsenceTimeoutMs"
  | "readReplica"
  | "disableCoordinates"
>;

export interface PoolPlan {
  settings: Omit<Settings, "envelopeOverheadBytes">;
  bindAddress: string;
  bindPort: number;
  /** Undefined where nothing is kept: -dev, or disable_keyring_file. */
  keyringPath: string | undefined;
  snapshotPath: string | undefined;
  retry: GossipPoolConfig;
}

export function planPool(config: GossipdConfig, pool: "lan" | "wan"): PoolPlan {
  const { addresses, ports, gossip, dataDir } = config;
  const isLan = pool === "lan";
  const file = isLan ? "local" : "remote";
  const keepsFiles = dataDir !== "" && !config.dev;
  const keepsKeyring = keepsFiles && !gossip.disableKeyringFile;
  return {
    settings: poolSettings(config, pool),
    bindAddress: isLan ? addresses.serfLanBind : addresses.serfWanBind,
    bindPort: isLan ? ports.serfLan : ports.serfWan,
    keyringPath: keepsKeyring ? join(dataDir, "serf", `${file}.keyring`) : undefined,
    snapshotPath: keepsFiles ? join(dataDir, "serf", `${file}.snapshot`) : undefined,
    retry: isLan ? gossip.lan : gossip.wan,
  };
}

/** Servers take part in the WAN pool, unless its port is switched off. */
export function hasWan(config: Pick<GossipdConfig, "server" | "ports">): boolean {
  return config.server && config.ports.serfWan > 0;
}

function poolSettings(
  config: GossipdConfig,
  pool: "lan" | "wan",
): Omit<Settings, "envelopeOverheadBytes"> {
  const { node, addresses, ports } = config;
  const isLan = pool === "lan";
  const tuned = isLan ? config.gossip.lan : config.gossip.wan;
  const advertised = isLan ? addresses.advertise : addresses.advertiseWan;
  const address = parseAddress(advertised);
  if (!address) {
    throw new CuriaError("invalid-argument", `advertise address "${advertised}" is no IP address`);
  }
  return {
    ...(isLan ? lanProfile : wanProfile),
    ...consulOverrides,
    name: isLan ? node.name : wanName(node.name, node.datacenter),
    address,
    port: isLan ? ports.serfLan : ports.serfWan,
    tags: ownTags(tagSource(config), pool),
    versions: consulVersions,
    admission: admissionOf(config, pool),
    addressAllowed: allowedBy(tuned.allowedCidrs),
    gossipIntervalMs: tuned.gossipIntervalMs,
    gossipNodes: tuned.gossipNodes,
    probeIntervalMs: tuned.probeIntervalMs,
    probeTimeoutMs: tuned.probeTimeoutMs,
    suspicionMult: tuned.suspicionMult,
    retransmitMult: tuned.retransmitMult,
    reconnectTimeoutMs: tuned.reconnectTimeoutMs,
    coordinates: !config.disableCoordinates,
  };
}

function tagSource(config: GossipdConfig) {
  const { node, ports, gossip } = config;
  return {
    isServer: config.server,
    nodeId: node.id,
    datacenter: node.datacenter,
    build: node.consulVersion,
    curiaVersion: release,
    serverPort: ports.server,
    wanJoinPort: hasWan(config) ? ports.serfWan : 0,
    grpcPort: Math.max(0, ports.grpc),
    grpcTlsPort: Math.max(0, ports.grpcTls),
    bootstrap: config.bootstrap,
    bootstrapExpect: config.bootstrapExpect,
    readReplica: config.readReplica,
    useTls: config.tls.internalRpc.caFile !== "" || config.tls.internalRpc.caPath !== "",
    aclsEnabled: config.acl.enabled,
    advertiseReconnectTimeout: gossip.advertiseReconnectTimeoutMs > 0
      ? formatDurationMs(gossip.advertiseReconnectTimeoutMs)
      : "",
  };
}

function admissionOf({ node, migration }: GossipdConfig, pool: "lan" | "wan"): Admission {
  const { observe } = migration;
  if (pool === "wan") return { kind: "wan", observe };
  const { name: nodeName, id: nodeId, datacenter } = node;
  return { kind: "lan", nodeName, nodeId, datacenter, observe };
}

function allowedBy(cidrs: readonly string[]): (address: Uint8Array) => boolean {
  const networks = cidrs.map((cidr) => parseCidr(cidr)).filter((network) => network !== undefined);
  if (networks.length === 0) return () => true;
  return (address) => {
    const ip = parseIp(formatAddress(address));
    return ip !== undefined && networks.some((network) => isWithin(ip, network));
  };
}
