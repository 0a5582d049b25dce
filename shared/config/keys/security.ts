// Keys of ACLs, TLS and the automatic ways to get certificates.

import { key, nobody, under } from "../key.ts";
import type { Key } from "../key.ts";

const tokenNames = [
  "initial_management",
  "default",
  "agent",
  "agent_recovery",
  "replication",
  "config_file_service_registration",
  "dns",
];

const stanza = (): Key[] => [
  key("ca_file", "string", null, nobody, { reload: true }),
  key("ca_path", "string", null, nobody, { reload: true }),
  key("cert_file", "string", null, nobody, { reload: true }),
  key("key_file", "string", null, nobody, { reload: true }),
  key("tls_min_version", "string", null, nobody, { reload: true }),
  key("tls_cipher_suites", "string", null, nobody, { reload: true }),
  key("verify_incoming", "bool", null, nobody, { reload: true }),
  key("verify_outgoing", "bool", null, nobody, { reload: true }),
  key("verify_server_hostname", "bool", null, nobody, { reload: true }),
  key("use_auto_cert", "bool", null, nobody, { reload: true }),
];

export const securityKeys: readonly Key[] = [
  ...under("acl", [
    key("enabled", "bool", false, nobody),
    key("default_policy", "string", "allow", nobody),
    key("down_policy", "string", "extend-cache", nobody),
    key("default_intention_policy", "string", "", nobody),
    key("policy_ttl", "duration", "30s", nobody),
    key("token_ttl", "duration", "30s", nobody),
    key("role_ttl", "duration", "0s", nobody),
    key("enable_key_list_policy", "bool", false, nobody),
    key("enable_token_replication", "bool", false, nobody),
    key("enable_token_persistence", "bool", false, nobody, { reload: true }),
    ...tokenNames.map((name) => key(`tokens.${name}`, "string", "", nobody, { reload: true })),
  ]),
  ...under("tls.defaults", stanza()),
  ...under("tls.internal_rpc", stanza()),
  ...under("tls.https", stanza()),
  ...under("tls.grpc", stanza()),
  key("enable_agent_tls_for_checks", "bool", false, nobody),
  key("auto_encrypt.tls", "bool", false, nobody),
  key("auto_encrypt.allow_tls", "bool", false, nobody),
  key("auto_encrypt.dns_san", "strings", [], nobody),
  key("auto_encrypt.ip_san", "strings", [], nobody),
  ...under("auto_config", [
    key("enabled", "bool", false, nobody),
    key("intro_token", "string", "", nobody),
    key("intro_token_file", "string", "", nobody),
    key("server_addresses", "strings", [], nobody),
    key("dns_sans", "strings", [], nobody),
    key("ip_sans", "strings", [], nobody),
    key("authorization", "any", {}, nobody),
  ]),
];
