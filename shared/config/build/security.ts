// ACLs, TLS with its fallbacks, and the mesh's CA.

import type { SettingsReader } from "../reader.ts";
import { ConfigRefusal } from "../source.ts";
import type { TlsConfig, TlsStanza } from "../tls-types.ts";
import type { AclConfig, ConnectConfig, PortConfig } from "../types.ts";

export function buildAcl(read: SettingsReader): AclConfig {
  return {
    enabled: read.bool("acl.enabled"),
    defaultPolicy: read.string("acl.default_policy"),
    downPolicy: read.string("acl.down_policy"),
    defaultIntentionPolicy: read.string("acl.default_intention_policy"),
    policyTtlMs: read.ms("acl.policy_ttl"),
    tokenTtlMs: read.ms("acl.token_ttl"),
    roleTtlMs: read.ms("acl.role_ttl"),
    enableKeyListPolicy: read.bool("acl.enable_key_list_policy"),
    enableTokenReplication: read.bool("acl.enable_token_replication"),
    enableTokenPersistence: read.bool("acl.enable_token_persistence"),
    tokens: {
      initialManagement: read.string("acl.tokens.initial_management"),
      default: read.string("acl.tokens.default"),
      agent: read.string("acl.tokens.agent"),
      agentRecovery: read.string("acl.tokens.agent_recovery"),
      replication: read.string("acl.tokens.replication"),
      configFileServiceRegistration: read.string("acl.tokens.config_file_service_registration"),
      dns: read.string("acl.tokens.dns"),
    },
  };
}

const tlsVersions: readonly string[] = ["TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3"];

export function buildTls(read: SettingsReader, ports: PortConfig): TlsConfig {
  refuseMisplaced(read);
  const hostname = (stanza: string) => read.optional<boolean>(`${stanza}.verify_server_hostname`);
  const verifyServerHostname = hostname("tls.internal_rpc") ?? hostname("tls.defaults") ?? false;
  const internalRpc = buildStanza(read, "internal_rpc");
  const grpc = buildStanza(read, "grpc");
  const hasGrpcTls = grpc.caFile !== "" || grpc.caPath !== "" || grpc.certFile !== "" ||
    grpc.keyFile !== "";
  if (hasGrpcTls && ports.grpc > 0 && read.optional("ports.grpc_tls") === undefined) {
    throw new ConfigRefusal(
      "the `ports.grpc` listener no longer supports TLS. Use `ports.grpc_tls` instead. This " +
        "message is appearing because GRPC is configured to use TLS, but `ports.grpc_tls` is " +
        "not defined",
    );
  }
  return {
    internalRpc: {
      ...internalRpc,
      verifyOutgoing: internalRpc.verifyOutgoing || verifyServerHostname,
      verifyServerHostname,
    },
    https: buildStanza(read, "https"),
    grpc: { ...grpc, useAutoCert: read.optional<boolean>("tls.grpc.use_auto_cert") ?? false },
    serverName: read.string("server_name"),
    autoEncrypt: {
      tls: read.bool("auto_encrypt.tls"),
      allowTls: read.bool("auto_encrypt.allow_tls"),
      dnsSan: read.strings("auto_encrypt.dns_san"),
      ipSan: read.strings("auto_encrypt.ip_san"),
    },
  };
}

function refuseMisplaced(read: SettingsReader): void {
  if (read.optional("tls.grpc.verify_outgoing") !== undefined) {
    throw new ConfigRefusal("verify_outgoing is not valid in the tls.grpc stanza");
  }
  for (const stanza of ["https", "grpc"]) {
    if (read.optional(`tls.${stanza}.verify_server_hostname`) === undefined) continue;
    throw new ConfigRefusal(
      "verify_server_hostname is only valid in the tls.defaults and tls.internal_rpc stanzas",
    );
  }
  for (const stanza of ["defaults", "internal_rpc", "https"]) {
    if (read.optional(`tls.${stanza}.use_auto_cert`) === undefined) continue;
    throw new ConfigRefusal("use_auto_cert is only valid in the tls.grpc stanza");
  }
}

function buildStanza(read: SettingsReader, stanza: string): TlsStanza {
  const value = <T>(name: string): T | undefined =>
    read.optional<T>(`tls.${stanza}.${name}`) ?? read.optional<T>(`tls.defaults.${name}`);
  const minVersion = value<string>("tls_min_version") || "TLSv1_2";
  if (!tlsVersions.includes(minVersion)) {
    throw new ConfigRefusal(
      `tls.${stanza}.tls_min_version: invalid TLS version: ${JSON.stringify(minVersion)}`,
    );
  }
  const cipherSuites = (value<string>("tls_cipher_suites") ?? "").split(",")
    .map((name) => name.trim()).filter((name) => name !== "");
  return {
    caFile: value<string>("ca_file") ?? "",
    caPath: value<string>("ca_path") ?? "",
    certFile: value<string>("cert_file") ?? "",
    keyFile: value<string>("key_file") ?? "",
    minVersion,
    cipherSuites,
    verifyIncoming: value<boolean>("verify_incoming") ?? false,
    verifyOutgoing: value<boolean>("verify_outgoing") ?? false,
  };
}

const caProviders: readonly string[] = ["", "consul", "vault", "aws-pca"];

export function buildConnect(read: SettingsReader): ConnectConfig {
  const caProvider = read.string("connect.ca_provider");
  if (!caProviders.includes(caProvider)) {
    throw new ConfigRefusal(`${caProvider} is not a valid CA provider`);
  }
  return {
    enabled: read.bool("connect.enabled"),
    caProvider: caProvider || "consul",
    caConfig: read.any("connect.ca_config"),
    enableMeshGatewayWanFederation: read.bool("connect.enable_mesh_gateway_wan_federation"),
    primaryGateways: read.strings("primary_gateways"),
    primaryGatewaysIntervalMs: read.ms("primary_gateways_interval"),
    peeringEnabled: read.bool("peering.enabled"),
    xdsUpdateMaxPerSecond: read.int("xds.update_max_per_second"),
  };
}
