// Keys of gossip, Raft and autopilot.

import { key, nobody, under } from "../key.ts";
import type { Key } from "../key.ts";

const pool = (
  gossipInterval: string,
  probeInterval: string,
  probeTimeout: string,
  suspicionMult: number,
): Key[] => [
  key("gossip_interval", "duration", gossipInterval, ["gossipd"]),
  key("gossip_nodes", "int", 3, ["gossipd"]),
  key("probe_interval", "duration", probeInterval, ["gossipd"]),
  key("probe_timeout", "duration", probeTimeout, ["gossipd"]),
  key("suspicion_mult", "int", suspicionMult, ["gossipd"]),
  key("retransmit_mult", "int", 4, ["gossipd"]),
];

export const clusterKeys: readonly Key[] = [
  key("encrypt", "string", "", ["gossipd"], {
    flag: "encrypt",
    help: "Provides the gossip encryption key.",
  }),
  key("encrypt_verify_incoming", "bool", true, ["gossipd"]),
  key("encrypt_verify_outgoing", "bool", true, ["gossipd"]),
  key("disable_keyring_file", "bool", false, ["gossipd"], {
    flag: "disable-keyring-file",
    help: "Disables the backing up of the keyring to a file.",
  }),
  key("rejoin_after_leave", "bool", false, ["gossipd"], {
    flag: "rejoin",
    help: "Ignores a previous leave and attempts to rejoin the cluster.",
  }),
  key("read_replica", "bool", false, ["gossipd"], {
    flag: "read-replica",
    help: "(Enterprise-only) Tells the others that this server is to take no part in votes.",
  }),
  ...under("gossip_lan", pool("200ms", "1s", "500ms", 4)),
  ...under("gossip_wan", pool("500ms", "5s", "3s", 6)),
  key("raft_protocol", "int", 3, ["raftd"], {
    flag: "raft-protocol",
    help: "Sets the Raft protocol version. Defaults to latest.",
  }),
  ...under("performance", [
    key("raft_multiplier", "int", 1, ["raftd"], { reload: true }),
    key("leave_drain_time", "duration", "5s", ["raftd"]),
    key("rpc_hold_timeout", "duration", "7s", ["raftd", "relayd"]),
    key("grpc_keepalive_interval", "duration", "30s", nobody),
    key("grpc_keepalive_timeout", "duration", "20s", nobody),
  ]),
  key("raft_snapshot_threshold", "int", 16384, ["raftd"], { reload: true }),
  key("raft_snapshot_interval", "duration", "30s", ["raftd"], { reload: true }),
  key("raft_trailing_logs", "int", 10240, ["raftd"], { reload: true }),
  key("raft_prevote_disabled", "bool", false, ["raftd"]),
  key("raft_logstore.backend", "string", "", nobody),
  key("raft_logstore.disable_log_cache", "bool", false, nobody),
  key("raft_logstore.verification.enabled", "bool", false, nobody),
  key("raft_logstore.verification.interval", "duration", "60s", nobody),
  key("raft_logstore.boltdb.no_freelist_sync", "bool", false, nobody),
  key("raft_logstore.wal.segment_size_mb", "int", 64, nobody),
  ...under("autopilot", [
    key("cleanup_dead_servers", "bool", true, ["raftd"]),
    key("last_contact_threshold", "duration", "200ms", ["raftd"]),
    key("max_trailing_logs", "int", 250, ["raftd"]),
    key("min_quorum", "uint", 0, ["raftd"]),
    key("server_stabilization_time", "duration", "10s", ["raftd"]),
  ]),
];
