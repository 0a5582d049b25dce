// DNS settings: zones, recursors, answer rules.

import type { HostFacts } from "../host-facts.ts";
import { isAnyAddress, isIp } from "../ip-address.ts";
import type { SettingsReader } from "../reader.ts";
import { ConfigRefusal } from "../source.ts";
import type { DnsConfig } from "../types.ts";
import { expandTexts, joinHostPort } from "./network.ts";

export function buildDns(read: SettingsReader, host: HostFacts, datacenter: string): DnsConfig {
  const serviceTtls = Object.entries(
    read.optional<Record<string, string>>("dns_config.service_ttl") ?? {},
  );
  const strategy = read.string("dns_config.recursor_strategy") || "sequential";
  if (strategy !== "sequential" && strategy !== "random") {
    const quoted = JSON.stringify(strategy);
    read.errors.push(`dns_config.recursor_strategy: invalid strategy: ${quoted}`);
  }
  return {
    domain: absoluteName(read.string("domain")),
    altDomain: buildAltDomain(read.string("alt_domain"), datacenter),
    recursors: buildRecursors(read, host),
    allowStale: read.bool("dns_config.allow_stale"),
    maxStaleMs: read.ms("dns_config.max_stale"),
    nodeTtlMs: read.ms("dns_config.node_ttl"),
    serviceTtlMs: Object.fromEntries(
      serviceTtls.map(([name, text]) => [
        name,
        read.durationMs(`dns_config.service_ttl[${JSON.stringify(name)}]`, text),
      ]),
    ),
    enableTruncate: read.bool("dns_config.enable_truncate"),
    onlyPassing: read.bool("dns_config.only_passing"),
    recursorStrategy: strategy === "random" ? "random" : "sequential",
    recursorTimeoutMs: read.ms("dns_config.recursor_timeout"),
    disableCompression: read.bool("dns_config.disable_compression"),
    udpAnswerLimit: nonNegative(read, "dns_config.udp_answer_limit"),
    aRecordLimit: nonNegative(read, "dns_config.a_record_limit"),
    nodeMetaTxt: read.bool("dns_config.enable_additional_node_meta_txt"),
    soa: {
      refresh: read.int("dns_config.soa.refresh"),
      retry: read.int("dns_config.soa.retry"),
      expire: read.int("dns_config.soa.expire"),
      minTtl: read.int("dns_config.soa.min_ttl"),
    },
    useCache: read.bool("dns_config.use_cache"),
    cacheMaxAgeMs: read.ms("dns_config.cache_max_age"),
    viewMaxAgeMs: read.ms("view_max_age"),
  };
}

function absoluteName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower : `${lower}.`;
}

function buildAltDomain(name: string, datacenter: string): string {
  if (name === "") return "";
  const reserved = ["service", "connect", "node", "query", "addr", datacenter];
  if (reserved.includes(name.toLowerCase().split(".")[0]!)) {
    throw new ConfigRefusal(`alt_domain cannot start with {${reserved.join(",")}}`);
  }
  return absoluteName(name);
}

function buildRecursors(read: SettingsReader, host: HostFacts): string[] {
  const recursors = new Set<string>();
  for (const text of read.strings("recursors")) {
    for (const part of expandTexts("recursors", text, host)) {
      if (part.startsWith("unix://")) {
        throw new ConfigRefusal(`DNS Recursors cannot be unix sockets: ${part}`);
      }
      const { name, port } = splitHostPort(part);
      if (isAnyAddress(name)) {
        throw new ConfigRefusal("DNS recursor address cannot be 0.0.0.0, :: or [::]");
      }
      recursors.add(joinHostPort(name, port));
    }
  }
  return [...recursors];
}

function splitHostPort(text: string): { name: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  if (match === null || isIp(text)) return { name: text.replace(/^\[|\]$/g, ""), port: 53 };
  return { name: match[1] ?? match[2]!, port: Number(match[3]) };
}

function nonNegative(read: SettingsReader, path: string): number {
  const value = read.int(path);
  if (value < 0) {
    throw new ConfigRefusal(`${path} cannot be ${value}. Must be greater than or equal to zero`);
  }
  return value;
}
