// Keys of DNS.

import { key, under } from "../key.ts";
import type { Key, KeyUser } from "../key.ts";

const dns: readonly KeyUser[] = ["dnsd"];
const live = { reload: true };

export const dnsKeys: readonly Key[] = [
  key("domain", "string", "consul.", ["dnsd", "cad"], {
    flag: "domain",
    help: "Domain to use for DNS interface.",
  }),
  key("alt_domain", "string", "", dns, {
    flag: "alt-domain",
    help: "Alternate domain to use for DNS interface.",
  }),
  key("recursors", "strings", [], dns, {
    reload: true,
    flag: "recursor",
    help: "Address of an upstream DNS server. Can be specified multiple times.",
  }),
  ...under("dns_config", [
    key("allow_stale", "bool", true, dns, live),
    key("max_stale", "duration", "87600h", dns, live),
    key("node_ttl", "duration", "0s", dns, live),
    key("service_ttl", "durations", {}, dns, live),
    key("enable_truncate", "bool", false, dns, live),
    key("only_passing", "bool", false, dns, live),
    key("recursor_strategy", "string", "sequential", dns, live),
    key("recursor_timeout", "duration", "2s", dns, live),
    key("disable_compression", "bool", false, dns, live),
    key("udp_answer_limit", "int", 3, dns, live),
    key("a_record_limit", "int", 0, dns, live),
    key("enable_additional_node_meta_txt", "bool", true, dns, live),
    key("soa.refresh", "uint", 3600, dns, live),
    key("soa.retry", "uint", 600, dns, live),
    key("soa.expire", "uint", 86400, dns, live),
    key("soa.min_ttl", "uint", 0, dns, live),
    key("use_cache", "bool", false, dns, live),
    key("cache_max_age", "duration", "0s", dns, live),
  ]),
];
