// What the DNS answers need of the node's configuration (Consul's `dns_config` and around it).

export interface DnsSettings {
  /** Lower case, with the final dot. */
  domain: string;
  /** As domain; empty = none. */
  altDomain: string;
  datacenter: string;
  /** This agent's own node, for prepared queries near `_agent`. */
  nodeName: string;
  hasRecursors: boolean;
  translateWanAddrs: boolean;
  nodeTtlSeconds: number;
  /** Service name, `prefix*` or `*` → TTL. */
  serviceTtlSeconds: ReadonlyMap<string, number>;
  enableTruncate: boolean;
  onlyPassing: boolean;
  disableCompression: boolean;
  udpAnswerLimit: number;
  aRecordLimit: number;
  nodeMetaTxt: boolean;
  soa: { refresh: number; retry: number; expire: number; minTtl: number };
  allowStale: boolean;
  maxStaleMs: number;
  /** How long a view that lost its server still answers. */
  viewMaxAgeMs: number;
}

export const defaultDnsSettings: DnsSettings = {
  domain: "consul.",
  altDomain: "",
  datacenter: "dc1",
  nodeName: "",
  hasRecursors: false,
  translateWanAddrs: false,
  nodeTtlSeconds: 0,
  serviceTtlSeconds: new Map(),
  enableTruncate: false,
  onlyPassing: false,
  disableCompression: false,
  udpAnswerLimit: 3,
  aRecordLimit: 0,
  nodeMetaTxt: true,
  soa: { refresh: 3600, retry: 600, expire: 86400, minTtl: 0 },
  allowStale: true,
  maxStaleMs: 87600 * 3600_000,
  viewMaxAgeMs: 300_000,
};

/** An exact name wins, then the longest prefix among keys that end in `*`, then 0. Keys are not
 *  lower-cased, so one with capitals never matches: Consul behaves so. */
export function serviceTtlSeconds(settings: DnsSettings, service: string): number {
  const exact = settings.serviceTtlSeconds.get(service);
  if (exact !== undefined) return exact;
  let best = 0;
  let bestLength = -1;
  for (const [key, ttl] of settings.serviceTtlSeconds) {
    if (!key.endsWith("*")) continue;
    const prefix = key.slice(0, -1);
    if (prefix.length > bestLength && service.startsWith(prefix)) {
      best = ttl;
      bestLength = prefix.length;
    }
  }
  return best;
}
