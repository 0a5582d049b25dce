// Merged settings to the effective configuration: the order of the steps is the order in which
// Consul finds faults.

import { buildAutopilot, buildGossip, buildRaft, refuseLogStore } from "./build/cluster.ts";
import { buildChecks, buildServices } from "./build/definitions.ts";
import { buildDns } from "./build/dns.ts";
import { buildCache, buildHttp, buildLimits, buildUi } from "./build/http.ts";
import { buildAddresses, buildPorts, refuseSharedListeners } from "./build/network.ts";
import { buildLog, buildNode, buildTelemetry, warnOfName } from "./build/node.ts";
import { buildBootstrap, buildBootstrapEntries, refuseCombinations } from "./build/rules.ts";
import { buildAcl, buildConnect, buildTls } from "./build/security.ts";
import type { Settings } from "./decode.ts";
import type { HostFacts } from "./host-facts.ts";
import { SettingsReader } from "./reader.ts";
import { ConfigRefusal, joinRefusals } from "./source.ts";
import type { ChecksConfig, EffectiveConfig } from "./types.ts";

const defaultSessionTtlMinMs = 10_000;

/** Throws ConfigRefusal. `node.id` may still be empty, and the hash is. */
export function buildEffective(
  settings: Settings,
  dev: boolean,
  host: HostFacts,
  warnings: string[],
): EffectiveConfig {
  const read = new SettingsReader(settings, warnings);
  const server = read.bool("server");
  const ports = buildPorts(read, server);
  const addresses = buildAddresses(read, host);
  const dataDir = buildDataDir(read, dev, host);
  const node = buildNode(read, host);
  const runDir = read.string("run_dir");
  const config: EffectiveConfig = {
    hash: "",
    node,
    dataDir,
    runDir: runDir !== ""
      ? host.absolutePath(runDir)
      : dev
      ? host.fallbackRunDir
      : `${dataDir}/run`,
    dev,
    server,
    ...buildBootstrap(read, server, dev),
    addresses,
    ports,
    unixSockets: {
      user: read.string("unix_sockets.user"),
      group: read.string("unix_sockets.group"),
      mode: read.string("unix_sockets.mode"),
    },
    translateWanAddrs: read.bool("translate_wan_addrs"),
    services: buildServices(read),
    checkDefinitions: buildChecks(read),
    gossip: buildGossip(read, host),
    raft: buildRaft(read),
    autopilot: buildAutopilot(read),
    dns: buildDns(read, host, node.datacenter),
    http: buildHttp(read, host),
    ui: buildUi(read),
    limits: buildLimits(read),
    cache: buildCache(read),
    checks: buildCheckSettings(read),
    watches: read.optional("watches") ?? [],
    acl: buildAcl(read),
    tls: buildTls(read, ports),
    connect: buildConnect(read),
    log: buildLog(read),
    telemetry: buildTelemetry(read),
    leave: {
      onTerminate: read.optional<boolean>("leave_on_terminate") ?? !server,
      skipOnInterrupt: read.optional<boolean>("skip_leave_on_interrupt") ?? server,
    },
    configEntriesBootstrap: buildBootstrapEntries(read),
    sessionTtlMinMs: read.ms("session_ttl_min") || defaultSessionTtlMinMs,
    tombstone: {
      ttlMs: read.ms("tombstone_ttl"),
      granularityMs: read.ms("tombstone_ttl_granularity"),
    },
    disableRemoteExec: read.bool("disable_remote_exec"),
    readReplica: read.bool("read_replica"),
    disableCoordinates: read.bool("disable_coordinates"),
    enableDebug: read.bool("enable_debug"),
    enableCentralServiceConfig: read.bool("enable_central_service_config"),
    experiments: read.strings("experiments"),
    pidFile: read.string("pid_file"),
    autoReloadConfig: read.bool("auto_reload_config"),
    serverRejoinAgeMaxMs: read.ms("server_rejoin_age_max", 6 * 3_600_000),
    instances: read.ints("instances"),
    checkdAbsenceTimeoutMs: read.ms("checkd_absence_timeout"),
    migration: { observe: read.bool("migration.observe") },
    snapshotSchedule: {
      intervalMs: read.ms("snapshot_schedule.interval"),
      retain: read.int("snapshot_schedule.retain"),
      dir: read.string("snapshot_schedule.dir"),
    },
    metricsPorts: read.ints("metrics_ports"),
  };
  if (read.errors.length > 0) throw new ConfigRefusal(joinRefusals(read.errors));
  if (server) refuseLogStore(read);
  refuseCombinations(read, config);
  refuseSharedListeners(addresses, ports, server);
  warnOfName(read, node.name);
  return config;
}

/** In -dev without a data_dir, data lies in the run directory, which goes with the agent. */
function buildDataDir(read: SettingsReader, dev: boolean, host: HostFacts): string {
  const dataDir = read.string("data_dir");
  if (dataDir === "") {
    if (!dev) throw new ConfigRefusal("data_dir cannot be empty");
    return `${host.fallbackRunDir}/data`;
  }
  if (host.pathKind(dataDir) === "other") {
    throw new ConfigRefusal(`data_dir ${JSON.stringify(dataDir)} is not a directory`);
  }
  return host.absolutePath(dataDir);
}

function buildCheckSettings(read: SettingsReader): ChecksConfig {
  const outputMaxSize = read.int("check_output_max_size");
  if (outputMaxSize < 1) {
    throw new ConfigRefusal(
      "check_output_max_size must be positive, to discard check output use the " +
        "discard_check_output flag",
    );
  }
  const enableRemoteScripts = read.bool("enable_script_checks");
  return {
    updateIntervalMs: read.ms("check_update_interval"),
    outputMaxSize,
    discardOutput: read.bool("discard_check_output"),
    enableRemoteScripts,
    enableLocalScripts: read.optional<boolean>("enable_local_script_checks") ??
      enableRemoteScripts,
    aeIntervalMs: read.ms("ae_interval"),
    deregisterIntervalMinMs: read.ms("check_deregister_interval_min"),
    reapIntervalMs: read.ms("check_reap_interval"),
    enableAgentTlsForChecks: read.bool("enable_agent_tls_for_checks"),
  };
}
