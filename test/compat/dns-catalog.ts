// The recorded set-up as a catalog in memory: what the state would hold after those requests, as
// far as DNS sees it.

import { Catalog } from "../../services/dnsd/core/catalog.ts";
import { defaultDnsSettings, type DnsSettings } from "../../services/dnsd/core/settings.ts";

export interface SetupRequest {
  method: string;
  path: string;
  body: Registration & Record<string, unknown>;
  only?: string[];
  not?: string[];
  once?: string;
}

interface Registration {
  Node?: string;
  Address?: string;
  Datacenter?: string;
  NodeMeta?: Record<string, string>;
  TaggedAddresses?: Record<string, string>;
  SkipNodeUpdate?: boolean;
  Service?: ServiceBody;
  Checks?: { CheckID: string; Status: string; ServiceID?: string }[];
  Kind?: string;
  Name?: string;
}

interface ServiceBody {
  ID: string;
  Service: string;
  Port?: number;
  Kind?: string;
  Address?: string;
  Tags?: string[];
  Weights?: { Passing: number; Warning: number };
  TaggedAddresses?: Record<string, { Address: string; Port: number }>;
  Proxy?: { DestinationServiceName?: string };
  Connect?: { Native?: boolean };
}

export interface Variant {
  config: Record<string, unknown>;
  second?: Record<string, unknown>;
  token?: string;
  upstreams?: { address: string; zone: UpstreamZone }[];
}

export type UpstreamZone = Record<string, {
  rcode?: number;
  records?: [string, number, string, string][];
  tc?: boolean;
  drop?: boolean;
  by_type?: boolean;
}>;

export interface RecordedCatalog {
  /** By datacenter. */
  catalogs: Map<string, Catalog>;
  queryIds: Map<string, string>;
}

export const serverPort = 8300;

export function recordedCatalog(requests: SetupRequest[], variant: string): RecordedCatalog {
  const catalogs = new Map([["dc1", serverCatalog("dc1", "dns-server1")]]);
  if (requests.some(({ only }) => only?.includes(variant))) {
    catalogs.set("dc2", serverCatalog("dc2", "dns-server2"));
  }
  const queryIds = new Map<string, string>();
  const virtualNames = new Set<string>();
  for (const { path, body, only, not } of requests) {
    if (only !== undefined && !only.includes(variant) || not?.includes(variant)) continue;
    const catalog = catalogs.get(body.Datacenter ?? "dc1")!;
    if (path === "/v1/config") {
      catalog.setDocument("config-entry", `${body.Kind}/${body.Name}`, body);
    } else if (path === "/v1/query") {
      const id = `00000000-0000-4000-8000-${String(queryIds.size).padStart(12, "0")}`;
      queryIds.set(body.Name!, id);
      catalog.setDocument("prepared-query", id, { ...body, ID: id });
    } else register(catalog, body, body.Datacenter ?? "dc1", virtualNames);
  }
  return { catalogs, queryIds };
}

function serverCatalog(datacenter: string, node: string): Catalog {
  const catalog = new Catalog();
  const body: Registration = {
    Node: node,
    Address: "127.0.0.1",
    NodeMeta: { "consul-network-segment": "", "consul-version": "1.21.0" },
    Service: { ID: "consul", Service: "consul", Port: serverPort },
    Checks: [{ CheckID: "serfHealth", Status: "passing" }],
  };
  register(catalog, body, datacenter, new Set());
  return catalog;
}

function register(
  catalog: Catalog,
  body: Registration,
  datacenter: string,
  virtualNames: Set<string>,
): void {
  const node = body.Node!;
  if (body.SkipNodeUpdate !== true || catalog.node("", node) === undefined) {
    catalog.setNode({
      node,
      address: body.Address!,
      datacenter,
      taggedAddresses: body.TaggedAddresses ?? {},
      meta: body.NodeMeta ?? {},
      peerName: "",
    });
  }
  if (body.Service !== undefined) setService(catalog, node, body.Service, virtualNames);
  for (const { CheckID, Status, ServiceID } of body.Checks ?? []) {
    const check = { node, checkId: CheckID, status: Status, serviceId: ServiceID ?? "" };
    catalog.setCheck({ ...check, peerName: "" });
  }
}

function setService(
  catalog: Catalog,
  node: string,
  body: ServiceBody,
  virtualNames: Set<string>,
): void {
  const connectsTo = body.Kind === "connect-proxy"
    ? body.Proxy?.DestinationServiceName ?? ""
    : body.Connect?.Native === true
    ? body.Service
    : "";
  catalog.setService({
    node,
    id: body.ID,
    service: body.Service,
    kind: body.Kind ?? "",
    tags: body.Tags ?? [],
    address: body.Address ?? "",
    port: body.Port ?? 0,
    taggedAddresses: Object.fromEntries(
      Object.entries(body.TaggedAddresses ?? {})
        .map(([key, { Address, Port }]) => [key, { address: Address, port: Port }]),
    ),
    meta: {},
    weights: body.Weights === undefined
      ? null
      : { passing: body.Weights.Passing, warning: body.Weights.Warning },
    peerName: "",
    proxyJson: jsonBytes(body.Proxy),
    connectJson: jsonBytes(body.Connect),
  });
  if (connectsTo === "" || virtualNames.has(connectsTo)) return;
  virtualNames.add(connectsTo);
  const Service = { ServiceName: { Name: connectsTo } };
  const IP = `0.0.0.${virtualNames.size}`;
  catalog.setDocument("service-virtual-ip", connectsTo, { Service, IP });
}

function jsonBytes(value: unknown): Uint8Array {
  return value === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify(value));
}

/** The settings that a variant's configuration gives. */
export function recordedSettings(config: Record<string, unknown>): DnsSettings {
  const dns = (config["dns_config"] ?? {}) as Record<string, unknown>;
  const soa = (dns["soa"] ?? {}) as Record<string, number>;
  const plain = defaultDnsSettings;
  const pick = <T>(value: unknown, fallback: T) => value === undefined ? fallback : value as T;
  const ttls = Object.entries((dns["service_ttl"] ?? {}) as Record<string, string>);
  return {
    ...plain,
    domain: fqdn(pick(config["domain"], "consul")),
    altDomain: fqdn(pick(config["alt_domain"], "")),
    nodeName: "dns-server1",
    hasRecursors: pick<string[]>(config["recursors"], []).length > 0,
    translateWanAddrs: pick(config["translate_wan_addrs"], false),
    nodeTtlSeconds: seconds(pick(dns["node_ttl"], "0s")),
    serviceTtlSeconds: new Map(ttls.map(([name, ttl]) => [name, seconds(ttl)])),
    enableTruncate: pick(dns["enable_truncate"], plain.enableTruncate),
    onlyPassing: pick(dns["only_passing"], plain.onlyPassing),
    disableCompression: pick(dns["disable_compression"], plain.disableCompression),
    udpAnswerLimit: pick(dns["udp_answer_limit"], plain.udpAnswerLimit),
    aRecordLimit: pick(dns["a_record_limit"], plain.aRecordLimit),
    nodeMetaTxt: pick(dns["enable_additional_node_meta_txt"], plain.nodeMetaTxt),
    soa: {
      refresh: soa["refresh"] ?? plain.soa.refresh,
      retry: soa["retry"] ?? plain.soa.retry,
      expire: soa["expire"] ?? plain.soa.expire,
      minTtl: soa["min_ttl"] ?? plain.soa.minTtl,
    },
    allowStale: pick(dns["allow_stale"], plain.allowStale),
  };
}

function fqdn(domain: string): string {
  const lower = domain.toLowerCase();
  return lower === "" || lower.endsWith(".") ? lower : lower + ".";
}

function seconds(duration: string): number {
  return Math.floor(duration.endsWith("ms") ? parseFloat(duration) / 1000 : parseFloat(duration));
}
