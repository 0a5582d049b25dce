// Who the node is, how it logs, measures and leaves.

import type { HostFacts } from "../host-facts.ts";
import { consulVersion } from "../release.ts";
import type { SettingsReader } from "../reader.ts";
import { ConfigRefusal } from "../source.ts";
import type { LogConfig, LogLevel, NodeConfig, TelemetryConfig } from "../types.ts";
import { refuseMetadata } from "./metadata.ts";

export function buildNode(read: SettingsReader, host: HostFacts): NodeConfig {
  const name = read.string("node_name").trim() || host.hostName.trim();
  const datacenter = read.string("datacenter").toLowerCase();
  const meta = read.map("node_meta");
  const complaint = refuseMetadata(meta);
  const region = read.string("locality.region");
  const zone = read.string("locality.zone");
  if (datacenter === "") throw new ConfigRefusal("datacenter cannot be empty");
  if (!/^[a-z0-9_-]+$/.test(datacenter)) {
    const quoted = JSON.stringify(datacenter);
    throw new ConfigRefusal(
      `datacenter can only contain lowercase alphanumeric, - or _ characters. received: ${quoted}`,
    );
  }
  if (name === "") throw new ConfigRefusal("node_name cannot be empty");
  if (complaint !== undefined) throw new ConfigRefusal(`node_meta invalid: ${complaint}`);
  const protocol = read.int("protocol");
  if (protocol < 2 || protocol > 3) {
    throw new ConfigRefusal(
      `Protocol version ${protocol} is not supported. Protocol versions 2 to 3 are supported`,
    );
  }
  return {
    id: read.string("node_id").toLowerCase(),
    name,
    meta,
    datacenter,
    primaryDatacenter: read.string("primary_datacenter").toLowerCase() || datacenter,
    locality: region === "" && zone === "" ? null : { region, zone },
    protocol,
    consulVersion,
    isIdOfHost: !read.bool("disable_host_node_id"),
  };
}

export function warnOfName(read: SettingsReader, name: string): void {
  const quoted = JSON.stringify(name);
  if (!/^[A-Za-z0-9-]+$/.test(name)) {
    read.warnings.push(
      `Node name ${quoted} will not be discoverable via DNS due to invalid characters. ` +
        "Valid characters include all alpha-numerics and dashes.",
    );
  } else if (name.length > 63) {
    read.warnings.push(
      `Node name ${quoted} will not be discoverable via DNS due to it being too long. ` +
        "Valid lengths are between 1 and 63 bytes.",
    );
  }
}

const logLevels: readonly string[] = ["trace", "debug", "info", "warn", "error"];

/** An unknown level reads as info here; the agent refuses it before it starts. */
export function buildLog(read: SettingsReader): LogConfig {
  const level = read.string("log_level").toLowerCase();
  return {
    level: (logLevels.includes(level) ? level : "info") as LogLevel,
    json: read.bool("log_json"),
    file: read.string("log_file"),
    rotateBytes: read.int("log_rotate_bytes"),
    rotateDurationMs: read.ms("log_rotate_duration"),
    rotateMaxFiles: read.int("log_rotate_max_files"),
    syslog: read.bool("enable_syslog"),
    syslogFacility: read.string("syslog_facility"),
  };
}

export function isLogLevel(text: string): boolean {
  return logLevels.includes(text.toLowerCase());
}

export function buildTelemetry(read: SettingsReader): TelemetryConfig {
  const allowedPrefixes: string[] = [];
  const blockedPrefixes: string[] = [];
  for (const rule of read.strings("telemetry.prefix_filter")) {
    if (rule === "") read.warnings.push("Cannot have empty filter rule in prefix_filter");
    else if (rule.startsWith("+")) allowedPrefixes.push(rule.slice(1));
    else if (rule.startsWith("-")) blockedPrefixes.push(rule.slice(1));
    else {
      const quoted = JSON.stringify(rule);
      read.warnings.push(`Filter rule must begin with either '+' or '-': ${quoted}`);
    }
  }
  return {
    metricsPrefix: read.string("telemetry.metrics_prefix"),
    disableHostname: read.bool("telemetry.disable_hostname"),
    filterDefault: read.bool("telemetry.filter_default"),
    allowedPrefixes,
    blockedPrefixes,
    prometheusRetentionTimeMs: read.ms("telemetry.prometheus_retention_time"),
    statsdAddress: read.string("telemetry.statsd_address"),
    statsiteAddress: read.string("telemetry.statsite_address"),
    dogstatsdAddr: read.string("telemetry.dogstatsd_addr"),
    dogstatsdTags: read.strings("telemetry.dogstatsd_tags"),
  };
}
