// Gossip, Raft and autopilot settings.

import type { HostFacts } from "../host-facts.ts";
import { parseCidr } from "../ip-address.ts";
import type { SettingsReader } from "../reader.ts";
import { ConfigRefusal } from "../source.ts";
import type { AutopilotConfig, GossipConfig, GossipPoolConfig, RaftConfig } from "../types.ts";
import { expandTexts } from "./network.ts";

export function buildGossip(read: SettingsReader, host: HostFacts): GossipConfig {
  const encrypt = read.string("encrypt");
  if (encrypt !== "") {
    const complaint = refuseKey(encrypt);
    if (complaint !== undefined) throw new ConfigRefusal(`encrypt has invalid key: ${complaint}`);
  }
  return {
    lan: buildPool(read, host, "lan", ""),
    wan: buildPool(read, host, "wan", "_wan"),
    encrypt,
    encryptVerifyIncoming: read.bool("encrypt_verify_incoming"),
    encryptVerifyOutgoing: read.bool("encrypt_verify_outgoing"),
    disableKeyringFile: read.bool("disable_keyring_file"),
    rejoinAfterLeave: read.bool("rejoin_after_leave"),
    advertiseReconnectTimeoutMs: read.ms("advertise_reconnect_timeout"),
  };
}

function buildPool(
  read: SettingsReader,
  host: HostFacts,
  pool: "lan" | "wan",
  suffix: string,
): GossipPoolConfig {
  const table = `gossip_${pool}`;
  const retryJoin = `retry_join${suffix}`;
  const cidrs = `serf_${pool}_allowed_cidrs`;
  return {
    gossipIntervalMs: read.ms(`${table}.gossip_interval`),
    gossipNodes: read.int(`${table}.gossip_nodes`),
    probeIntervalMs: read.ms(`${table}.probe_interval`),
    probeTimeoutMs: read.ms(`${table}.probe_timeout`),
    suspicionMult: read.int(`${table}.suspicion_mult`),
    retransmitMult: read.int(`${table}.retransmit_mult`),
    retryJoin: read.strings(retryJoin).flatMap((text) =>
      text.includes("{{") ? expandTexts(retryJoin, text, host) : [text]
    ),
    retryIntervalMs: read.ms(`retry_interval${suffix}`),
    retryMax: read.int(`retry_max${suffix}`),
    reconnectTimeoutMs: read.ms(`reconnect_timeout${suffix}`),
    allowedCidrs: read.cidrs(cidrs, cidrs, (text) => parseCidr(text) !== undefined),
  };
}

/** Why the text is no gossip key, or undefined. */
export function refuseKey(text: string): string | undefined {
  const corruptAt = corruptBase64At(text);
  if (corruptAt !== undefined) return `illegal base64 data at input byte ${corruptAt}`;
  const size = Buffer.from(text, "base64").length;
  return [16, 24, 32].includes(size) ? undefined : "key size must be 16, 24 or 32 bytes";
}

/** The offset that Go's decoder names, or undefined when the text is whole. */
export function corruptBase64At(text: string): number | undefined {
  const match = /^[A-Za-z0-9+/]*/.exec(text)![0];
  const rest = text.slice(match.length);
  const over = match.length % 4;
  if (rest === "") return over === 0 ? undefined : match.length - over;
  const padding = over === 2 ? "==" : over === 3 ? "=" : undefined;
  if (padding === undefined || !rest.startsWith("=")) return match.length;
  if (rest === padding) return undefined;
  return rest.startsWith(padding) ? match.length + padding.length : text.length;
}

export function buildRaft(read: SettingsReader): RaftConfig {
  const protocol = read.int("raft_protocol");
  if (protocol !== 3) {
    throw new ConfigRefusal(
      `raft_protocol version ${protocol} is not supported by this version of Consul`,
    );
  }
  const multiplier = read.int("performance.raft_multiplier");
  if (multiplier < 1 || multiplier > 10) {
    throw new ConfigRefusal(
      `performance.raft_multiplier cannot be ${multiplier}. Must be between 1 and 10`,
    );
  }
  return {
    protocol,
    multiplier,
    snapshotThreshold: read.int("raft_snapshot_threshold"),
    snapshotIntervalMs: read.ms("raft_snapshot_interval"),
    trailingLogs: read.int("raft_trailing_logs"),
    prevoteDisabled: read.bool("raft_prevote_disabled"),
    rpcHoldTimeoutMs: read.ms("performance.rpc_hold_timeout"),
    leaveDrainTimeMs: read.ms("performance.leave_drain_time"),
    grpcKeepaliveIntervalMs: read.ms("performance.grpc_keepalive_interval", 1000),
    grpcKeepaliveTimeoutMs: read.ms("performance.grpc_keepalive_timeout", 1000),
  };
}

/** Only servers mind: a client may carry any value. */
export function refuseLogStore(read: SettingsReader): void {
  const backend = read.string("raft_logstore.backend");
  if (!["", "boltdb", "wal"].includes(backend)) {
    throw new ConfigRefusal("raft_logstore.backend must be one of 'boltdb' or 'wal'");
  }
  const segmentMb = read.int("raft_logstore.wal.segment_size_mb");
  if (segmentMb < 1) {
    throw new ConfigRefusal("raft_logstore.wal.segment_size_mb cannot be less than 1MB");
  }
  if (segmentMb > 1024) {
    throw new ConfigRefusal(
      "raft_logstore.wal.segment_size_mb cannot be greater than 1024 (1GiB)",
    );
  }
}

export function buildAutopilot(read: SettingsReader): AutopilotConfig {
  return {
    cleanupDeadServers: read.bool("autopilot.cleanup_dead_servers"),
    lastContactThresholdMs: read.ms("autopilot.last_contact_threshold"),
    maxTrailingLogs: read.int("autopilot.max_trailing_logs"),
    minQuorum: read.int("autopilot.min_quorum"),
    serverStabilizationTimeMs: read.ms("autopilot.server_stabilization_time"),
  };
}
