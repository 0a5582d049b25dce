// Which part of the node's configuration dnsd uses, and what of it changes while it runs.

import type { DnsConfig, EffectiveConfig } from "#shared/config/types.ts";
import type { DnsSettings } from "./core/settings.ts";
import type { RecursorSettings } from "./io/recursors.ts";

export type DnsdConfig = Pick<
  EffectiveConfig,
  "node" | "addresses" | "ports" | "dns" | "translateWanAddrs" | "acl"
>;

export function dnsSettings(config: DnsdConfig): DnsSettings {
  const { dns, node } = config;
  return {
    domain: dns.domain,
    altDomain: dns.altDomain,
    datacenter: node.datacenter,
    nodeName: node.name,
    hasRecursors: dns.recursors.length > 0,
    translateWanAddrs: config.translateWanAddrs,
    nodeTtlSeconds: wholeSeconds(dns.nodeTtlMs),
    serviceTtlSeconds: new Map(
      Object.entries(dns.serviceTtlMs).map(([name, ttlMs]) => [name, wholeSeconds(ttlMs)]),
    ),
    enableTruncate: dns.enableTruncate,
    onlyPassing: dns.onlyPassing,
    disableCompression: dns.disableCompression,
    udpAnswerLimit: dns.udpAnswerLimit,
    aRecordLimit: dns.aRecordLimit,
    nodeMetaTxt: dns.nodeMetaTxt,
    soa: dns.soa,
    allowStale: dns.allowStale,
    maxStaleMs: dns.maxStaleMs,
    viewMaxAgeMs: dns.viewMaxAgeMs,
  };
}

/** Fractions are cut, as Consul does. */
function wholeSeconds(durationMs: number): number {
  return Math.floor(durationMs / 1000);
}

export function recursorSettings({ dns }: DnsdConfig): RecursorSettings {
  return {
    addresses: dns.recursors,
    strategy: dns.recursorStrategy,
    timeoutMs: dns.recursorTimeoutMs,
  };
}

/** The token that the view is read with: its own, else the agent's default one. */
export function dnsToken({ acl }: DnsdConfig): string {
  return acl.tokens.dns || acl.tokens.default;
}

/** Consul's key of each setting that is taken over at once. */
const reloadable: [string, (dns: DnsConfig) => unknown][] = [
  ["recursors", (dns) => dns.recursors],
  ["dns_config.allow_stale", (dns) => dns.allowStale],
  ["dns_config.max_stale", (dns) => dns.maxStaleMs],
  ["dns_config.node_ttl", (dns) => dns.nodeTtlMs],
  ["dns_config.service_ttl", (dns) => dns.serviceTtlMs],
  ["dns_config.enable_truncate", (dns) => dns.enableTruncate],
  ["dns_config.only_passing", (dns) => dns.onlyPassing],
  ["dns_config.recursor_strategy", (dns) => dns.recursorStrategy],
  ["dns_config.recursor_timeout", (dns) => dns.recursorTimeoutMs],
  ["dns_config.disable_compression", (dns) => dns.disableCompression],
  ["dns_config.udp_answer_limit", (dns) => dns.udpAnswerLimit],
  ["dns_config.a_record_limit", (dns) => dns.aRecordLimit],
  ["dns_config.enable_additional_node_meta_txt", (dns) => dns.nodeMetaTxt],
  ["dns_config.soa", (dns) => dns.soa],
  ["dns_config.view_max_age", (dns) => dns.viewMaxAgeMs],
];

const fixed: [string, (config: DnsdConfig) => unknown][] = [
  ["domain", ({ dns }) => dns.domain],
  ["alt_domain", ({ dns }) => dns.altDomain],
  ["ports.dns", ({ ports }) => ports.dns],
  ["addresses.dns", ({ addresses }) => addresses.dns],
  ["translate_wan_addrs", ({ translateWanAddrs }) => translateWanAddrs],
  ["acl.tokens.dns", dnsToken],
];

export function compareConfigs(
  before: DnsdConfig,
  after: DnsdConfig,
): { changed: string[]; needsRestart: string[] } {
  return {
    changed: reloadable.filter(([, read]) => differ(read(before.dns), read(after.dns)))
      .map(([key]) => key),
    needsRestart: fixed.filter(([, read]) => differ(read(before), read(after))).map(([key]) => key),
  };
}

function differ(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) !== JSON.stringify(b);
}
