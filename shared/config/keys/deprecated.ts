// Keys that Consul still reads under an older name, and those only its Enterprise edition obeys.

import type { KeyType } from "../key.ts";

export interface DeprecatedKey {
  path: string;
  type: KeyType;
  /** The key it sets now; empty = none, the key is ignored. */
  now: string;
}

const rows: [path: string, now: string, type?: KeyType][] = [
  ["acl_agent_master_token", "acl.tokens.agent_recovery"],
  ["acl.tokens.agent_master", "acl.tokens.agent_recovery"],
  ["acl_agent_token", "acl.tokens.agent"],
  ["acl_token", "acl.tokens.default"],
  ["acl_replication_token", "acl.tokens.replication"],
  ["acl_master_token", "acl.tokens.initial_management"],
  ["acl.tokens.master", "acl.tokens.initial_management"],
  ["acl_datacenter", "primary_datacenter"],
  ["acl_default_policy", "acl.default_policy"],
  ["acl_down_policy", "acl.down_policy"],
  ["acl_ttl", "acl.token_ttl", "duration"],
  ["acl_enable_key_list_policy", "acl.enable_key_list_policy", "bool"],
  ["enable_acl_replication", "acl.enable_token_replication", "bool"],
  ["ca_file", "tls.defaults.ca_file"],
  ["ca_path", "tls.defaults.ca_path"],
  ["cert_file", "tls.defaults.cert_file"],
  ["key_file", "tls.defaults.key_file"],
  ["tls_cipher_suites", "tls.defaults.tls_cipher_suites"],
  ["tls_min_version", "tls.defaults.tls_min_version"],
  ["verify_incoming", "tls.defaults.verify_incoming", "bool"],
  ["verify_outgoing", "tls.defaults.verify_outgoing", "bool"],
  ["verify_incoming_https", "tls.https.verify_incoming", "bool"],
  ["verify_incoming_rpc", "tls.internal_rpc.verify_incoming", "bool"],
  ["verify_server_hostname", "tls.internal_rpc.verify_server_hostname", "bool"],
  ["tls_prefer_server_cipher_suites", "", "bool"],
  ["start_join", "retry_join", "strings"],
  ["start_join_wan", "retry_join_wan", "strings"],
  ["raft_boltdb.no_freelist_sync", "raft_logstore.boltdb.no_freelist_sync", "bool"],
  ["non_voting_server", "read_replica", "bool"],
  ["ui", "ui_config.enabled", "bool"],
  ["ui_dir", "ui_config.dir"],
  ["ui_content_path", "ui_config.content_path"],
];

export const deprecatedKeys: readonly DeprecatedKey[] = rows.map(
  ([path, now, type = "string"]) => ({ path, now, type }),
);

/** Old spellings of TLS versions. */
export const oldTlsVersions: ReadonlyMap<string, string> = new Map([
  ["tls10", "TLSv1_0"],
  ["tls11", "TLSv1_1"],
  ["tls12", "TLSv1_2"],
  ["tls13", "TLSv1_3"],
]);

/** Accepted with Consul's warning, without effect. */
export const enterpriseKeys: readonly { path: string; type: KeyType }[] = [
  { path: "audit", type: "any" },
  { path: "license_path", type: "string" },
  { path: "partition", type: "string" },
  { path: "reporting", type: "any" },
  { path: "acl.msp_disable_bootstrap", type: "bool" },
  { path: "acl.tokens.managed_service_provider", type: "anys" },
  { path: "autopilot.redundancy_zone_tag", type: "string" },
  { path: "autopilot.disable_upgrade_migration", type: "bool" },
  { path: "autopilot.upgrade_version_tag", type: "string" },
  { path: "dns_config.prefer_namespace", type: "bool" },
];

/** Refused: the community edition has no network segments. */
export const segmentKeys: readonly { path: string; type: KeyType }[] = [
  { path: "segment", type: "string" },
  { path: "segments", type: "anys" },
];
