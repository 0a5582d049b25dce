// Rules that join several keys, in the order in which Consul applies them.

import type { SettingsReader } from "../reader.ts";
import { ConfigRefusal } from "../source.ts";
import type { EffectiveConfig } from "../types.ts";

/** `bootstrap_expect = 1` is `bootstrap`; a -dev server needs neither. */
export function buildBootstrap(
  read: SettingsReader,
  server: boolean,
  dev: boolean,
): { bootstrap: boolean; bootstrapExpect: number } {
  let bootstrap = read.bool("bootstrap");
  let bootstrapExpect = read.int("bootstrap_expect");
  if (bootstrapExpect === 1 && !bootstrap) {
    read.warnings.push("BootstrapExpect is set to 1; this is the same as Bootstrap mode.");
    bootstrap = true;
    bootstrapExpect = 0;
  }
  refuseBootstrap(bootstrap, bootstrapExpect, server, dev);
  const advice =
    "A cluster with an even number of servers does not achieve optimum fault tolerance";
  if (bootstrapExpect === 2) {
    read.warnings.push(
      "bootstrap_expect = 2: A cluster with 2 servers will provide no failure tolerance. See " +
        "https://www.consul.io/docs/internals/consensus.html#deployment-table",
    );
  } else if (bootstrapExpect > 0 && bootstrapExpect % 2 === 0) {
    read.warnings.push(
      `bootstrap_expect is even number: ${advice}. See ` +
        "https://www.consul.io/docs/internals/consensus.html#deployment-table",
    );
  }
  if (bootstrap) read.warnings.push("bootstrap = true: do not enable unless necessary");
  if (bootstrapExpect > 0) {
    read.warnings.push(`bootstrap_expect > 0: expecting ${bootstrapExpect} servers`);
  }
  return { bootstrap: bootstrap || (dev && server), bootstrapExpect };
}

function refuseBootstrap(
  bootstrap: boolean,
  bootstrapExpect: number,
  server: boolean,
  dev: boolean,
): void {
  if (bootstrapExpect < 0) {
    throw new ConfigRefusal(
      `bootstrap_expect cannot be ${bootstrapExpect}. Must be greater than or equal to zero`,
    );
  }
  if (bootstrapExpect > 0 && dev) {
    throw new ConfigRefusal("'bootstrap_expect > 0' not allowed in dev mode");
  }
  if (bootstrapExpect > 0 && bootstrap) {
    throw new ConfigRefusal(
      "'bootstrap_expect > 0' and 'bootstrap = true' are mutually exclusive",
    );
  }
  if (bootstrap && !server) {
    throw new ConfigRefusal("'bootstrap = true' requires 'server = true'");
  }
  if (bootstrapExpect > 0 && !server) {
    throw new ConfigRefusal("'bootstrap_expect > 0' requires 'server = true'");
  }
}

const entryKinds: ReadonlySet<unknown> = new Set([
  "service-defaults",
  "proxy-defaults",
  "service-router",
  "service-splitter",
  "service-resolver",
  "ingress-gateway",
  "terminating-gateway",
  "service-intentions",
  "mesh",
  "exported-services",
  "sameness-group",
  "api-gateway",
  "bound-api-gateway",
  "inline-certificate",
  "file-system-certificate",
  "http-route",
  "tcp-route",
  "jwt-provider",
  "control-plane-request-limit",
]);

export function isEntryKind(kind: unknown): boolean {
  return entryKinds.has(kind);
}

export function buildBootstrapEntries(read: SettingsReader): Record<string, unknown>[] {
  const entries = read.optional<Record<string, unknown>[]>("config_entries.bootstrap") ?? [];
  entries.forEach((entry, i) => {
    const kind = entry["kind"] ?? entry["Kind"];
    const place = `config_entries.bootstrap[${i}]`;
    if (kind === undefined) {
      throw new ConfigRefusal(
        `${place}: Payload does not contain a kind/Kind key at the top level`,
      );
    }
    if (!isEntryKind(kind)) {
      throw new ConfigRefusal(`${place}: invalid config entry kind: ${String(kind)}`);
    }
  });
  return entries;
}

export function refuseCombinations(read: SettingsReader, config: EffectiveConfig): void {
  const { server, connect, gossip, tls } = config;
  if (tls.autoEncrypt.tls && server) {
    throw new ConfigRefusal("auto_encrypt.tls can only be used on a client.");
  }
  if (tls.autoEncrypt.allowTls && !server) {
    throw new ConfigRefusal("auto_encrypt.allow_tls can only be used on a server.");
  }
  if (gossip.advertiseReconnectTimeoutMs > 0 && server) {
    throw new ConfigRefusal("advertise_reconnect_timeout can only be used on a client");
  }
  if (connect.primaryGateways.length > 0) {
    if (!server) throw new ConfigRefusal("'primary_gateways' requires 'server = true'");
    if (config.node.primaryDatacenter === config.node.datacenter) {
      throw new ConfigRefusal(
        "'primary_gateways' should only be configured in a secondary datacenter",
      );
    }
  }
  if (connect.enableMeshGatewayWanFederation) refuseFederation(config);
  if (read.bool("auto_config.enabled")) refuseAutoConfig(read, config);
  warnOfCombinations(read, config);
}

function refuseFederation(config: EffectiveConfig): void {
  const key = "'connect.enable_mesh_gateway_wan_federation = true'";
  if (!config.server) throw new ConfigRefusal(`${key} requires 'server = true'`);
  if (!config.connect.enabled) {
    throw new ConfigRefusal(`${key} requires 'connect.enabled = true'`);
  }
  if (config.node.name.includes("/")) {
    throw new ConfigRefusal(`${key} requires that 'node_name' not contain '/' characters`);
  }
  if (config.gossip.wan.retryJoin.length > 0) {
    throw new ConfigRefusal(
      "'retry_join_wan' is incompatible with " +
        "'connect.enable_mesh_gateway_wan_federation = true'",
    );
  }
}

function refuseAutoConfig(read: SettingsReader, config: EffectiveConfig): void {
  if (config.server) {
    throw new ConfigRefusal("auto_config.enabled cannot be set to true for server agents.");
  }
  if (!config.tls.internalRpc.verifyOutgoing) {
    throw new ConfigRefusal(
      "auto_config.enabled cannot be set without configuring TLS for server communications",
    );
  }
  if (config.tls.autoEncrypt.tls) {
    throw new ConfigRefusal("both auto_encrypt.tls and auto_config.enabled cannot be set to true.");
  }
  if (
    read.string("auto_config.intro_token") === "" &&
    read.string("auto_config.intro_token_file") === ""
  ) {
    throw new ConfigRefusal(
      "One of auto_config.intro_token, auto_config.intro_token_file or the CONSUL_INTRO_TOKEN " +
        "environment variable must be set to enable auto_config",
    );
  }
  if (read.strings("auto_config.server_addresses").length === 0) {
    throw new ConfigRefusal(
      "auto_config.enabled is set without providing a list of addresses",
    );
  }
}

function warnOfCombinations(read: SettingsReader, config: EffectiveConfig): void {
  const isOpen = !config.acl.enabled && config.http.allowWriteHttpFrom.length === 0;
  if (config.checks.enableRemoteScripts && isOpen) {
    read.warnings.push(
      "using enable-script-checks without ACLs and without allow_write_http_from is DANGEROUS, " +
        "use enable-local-script-checks instead, see https://www.hashicorp.com/blog/" +
        "protecting-consul-from-rce-risk-in-specific-configurations/",
    );
  }
  if (config.tls.autoEncrypt.allowTls && !config.tls.internalRpc.verifyIncoming) {
    read.warnings.push(
      "if auto_encrypt.allow_tls is turned on, tls.internal_rpc.verify_incoming should be " +
        "enabled (either explicitly or via tls.defaults.verify_incoming). It is necessary to " +
        "turn it off during a migration to TLS, but it should definitely be turned on afterwards.",
    );
  }
}
