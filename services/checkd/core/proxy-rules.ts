// What a proxy or gateway registration must hold (Consul's rules of connect proxies).

import type { ServiceRow } from "./model.ts";

interface Proxy {
  DestinationServiceName?: string;
  DestinationServiceID?: string;
  LocalServiceAddress?: string;
  LocalServicePort?: number;
  LocalServiceSocketPath?: string;
  Upstreams?: Upstream[] | null;
  Expose?: { Paths?: ExposedPath[] | null } | null;
}

interface Upstream {
  DestinationType?: string;
  DestinationName?: string;
  DestinationPeer?: string;
  Datacenter?: string;
  LocalBindAddress?: string;
  LocalBindPort?: number;
  LocalBindSocketPath?: string;
}

interface ExposedPath {
  ListenerPort?: number;
  Path?: string;
  LocalPathPort?: number;
  Protocol?: string;
}

const gateways = ["mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway"];

/** Everything that is wrong; empty for a service that is neither proxy nor gateway. */
export function proxyFaults(service: ServiceRow): string[] {
  const proxy = service.proxyJson === "" ? {} : JSON.parse(service.proxyJson) as Proxy;
  if (service.kind === "connect-proxy") return connectProxyFaults(service, proxy);
  if (gateways.includes(service.kind)) return gatewayFaults(service, proxy);
  if (isNative(service) && service.port === 0 && service.socketPath === "") {
    return ["Port or SocketPath must be set for a Connect native service."];
  }
  return [];
}

function connectProxyFaults(service: ServiceRow, proxy: Proxy): string[] {
  const faults: string[] = [];
  const destination = (proxy.DestinationServiceName ?? "").trim();
  if (destination === "") {
    faults.push("Proxy.DestinationServiceName must be non-empty for Connect proxy services");
  }
  if (destination === "*") {
    faults.push("Proxy.DestinationServiceName must not be a wildcard for Connect proxy services");
  }
  if (service.port === 0 && service.socketPath === "") {
    faults.push("Port or SocketPath must be set for a Connect proxy");
  }
  if (isNative(service)) {
    faults.push("A Proxy cannot also be Connect Native, only typical services");
  }
  return [...faults, ...upstreamFaults(proxy.Upstreams ?? []), ...exposeFaults(proxy)];
}

function upstreamFaults(upstreams: Upstream[]): string[] {
  const faults: string[] = [];
  const targets = new Set<string>();
  const binds = new Set<string>();
  for (const upstream of upstreams) {
    const name = upstream.DestinationName ?? "";
    if (name === "") faults.push("upstream destination name cannot be empty");
    if (name === "*") faults.push("upstream destination name cannot be a wildcard");
    if ((upstream.Datacenter ?? "") !== "" && (upstream.DestinationPeer ?? "") !== "") {
      faults.push(`upstream ${name}: Datacenter and DestinationPeer exclude each other`);
    }
    const target = [
      upstream.DestinationType || "service",
      name,
      upstream.Datacenter ?? "",
      upstream.DestinationPeer ?? "",
    ].join("/");
    if (targets.has(target)) faults.push(`upstreams cannot contain duplicates of ${name}`);
    targets.add(target);
    const port = upstream.LocalBindPort ?? 0;
    const socket = upstream.LocalBindSocketPath ?? "";
    if (port === 0 && socket === "") continue;
    const bind = socket !== "" ? socket : `${upstream.LocalBindAddress || "127.0.0.1"}:${port}`;
    if (binds.has(bind)) faults.push(`upstreams cannot contain duplicates of bind address ${bind}`);
    binds.add(bind);
  }
  return faults;
}

function exposeFaults(proxy: Proxy): string[] {
  const faults: string[] = [];
  const ports = new Set<number>();
  for (const exposed of proxy.Expose?.Paths ?? []) {
    const port = exposed.ListenerPort ?? 0;
    if ((exposed.Path ?? "") === "") faults.push("expose.paths: path cannot be empty");
    if (port < 1 || port > 65535) faults.push(`expose.paths: invalid listener port: ${port}`);
    if (ports.has(port)) faults.push(`expose.paths: duplicate listener port: ${port}`);
    ports.add(port);
    const protocol = exposed.Protocol ?? "";
    if (!["", "http", "http2"].includes(protocol)) {
      faults.push(`expose.paths: protocol must be http or http2, not "${protocol}"`);
    }
  }
  return faults;
}

function gatewayFaults(service: ServiceRow, proxy: Proxy): string[] {
  const faults: string[] = [];
  const needsPort = service.kind === "mesh-gateway" || service.kind === "terminating-gateway";
  if (needsPort && service.port === 0) faults.push(`Port must be non-zero for a ${service.kind}`);
  const refused: [string, unknown][] = [
    ["DestinationServiceName", proxy.DestinationServiceName],
    ["DestinationServiceID", proxy.DestinationServiceID],
    ["LocalServiceAddress", proxy.LocalServiceAddress],
    ["LocalServicePort", proxy.LocalServicePort],
    ["LocalServiceSocketPath", proxy.LocalServiceSocketPath],
  ];
  for (const [field, value] of refused) {
    if (value !== undefined && value !== "" && value !== 0) {
      faults.push(`Proxy.${field} cannot be used with a ${service.kind}`);
    }
  }
  if ((proxy.Upstreams ?? []).length > 0) {
    faults.push(`Proxy.Upstreams cannot be used with a ${service.kind}`);
  }
  return faults;
}

function isNative(service: ServiceRow): boolean {
  return service.connectJson !== "" &&
    (JSON.parse(service.connectJson) as { Native?: boolean }).Native === true;
}
