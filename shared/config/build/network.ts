// Ports and addresses: defaults that depend on each other, templates, what may be where.

import type { HostFacts } from "../host-facts.ts";
import { isAnyAddress, isIp, isPrivate, parseIp } from "../ip-address.ts";
import type { SettingsReader } from "../reader.ts";
import { expandTemplate } from "../sockaddr.ts";
import { ConfigRefusal } from "../source.ts";
import type { AddressConfig, PortConfig } from "../types.ts";

export function buildPorts(read: SettingsReader, isServer: boolean): PortConfig {
  const port = (name: string, fallback = -1) => {
    const value = read.optional<number>(`ports.${name}`) ?? fallback;
    if (value > 65535) read.errors.push(`ports.${name}: invalid port: ${value}`);
    return value > 0 ? value : -1;
  };
  const ports: PortConfig = {
    dns: port("dns"),
    http: port("http"),
    https: port("https"),
    grpc: port("grpc"),
    grpcTls: port("grpc_tls", isServer ? 8503 : -1),
    serfLan: port("serf_lan"),
    serfWan: port("serf_wan"),
    server: port("server"),
    sidecarMin: port("sidecar_min_port"),
    sidecarMax: port("sidecar_max_port"),
    exposeMin: port("expose_min_port"),
    exposeMax: port("expose_max_port"),
    proxyMin: port("proxy_min_port"),
    proxyMax: port("proxy_max_port"),
  };
  if (ports.server <= 0) throw new ConfigRefusal("server-port must be greater than zero");
  if (ports.serfLan <= 0) throw new ConfigRefusal("serf-lan-port must be greater than zero");
  const ranges = [
    ["proxy", ports.proxyMin, ports.proxyMax],
    ["sidecar", ports.sidecarMin, ports.sidecarMax],
    ["expose", ports.exposeMin, ports.exposeMax],
  ] as const;
  for (const [name, min, max] of ranges) {
    if (max >= min) continue;
    throw new ConfigRefusal(
      `${name}_min_port must be less than ${name}_max_port. To disable, set both to zero.`,
    );
  }
  return ports;
}

export function buildAddresses(read: SettingsReader, host: HostFacts): AddressConfig {
  const expand = (path: string) => expandList(path, read.string(path), host);
  const bind = onlyBind(expand("bind_addr"));
  const client = expand("client_addr");
  if (client.length === 0) {
    read.warnings.push(
      "client_addr is empty, client services (DNS, HTTP, HTTPS, GRPC) will not be listening " +
        "for connections",
    );
  }
  const advertise = oneIp(read, "advertise_addr", host) ?? detectAdvertise(bind, host);
  if (isAnyAddress(advertise)) {
    throw new ConfigRefusal("Advertise address cannot be 0.0.0.0, :: or [::]");
  }
  const advertiseWan = oneIp(read, "advertise_addr_wan", host) ?? advertise;
  if (isAnyAddress(advertiseWan)) {
    throw new ConfigRefusal("Advertise WAN address cannot be 0.0.0.0, :: or [::]");
  }
  const listeners = (name: string) => {
    const own = expand(`addresses.${name}`);
    return own.length > 0 ? own : client;
  };
  const dns = listeners("dns");
  if (dns.some((address) => address.startsWith("unix://"))) {
    throw new ConfigRefusal("DNS address cannot be a unix socket");
  }
  return {
    bind,
    client,
    advertise,
    advertiseWan,
    serfLanBind: oneIp(read, "serf_lan", host) ?? bind,
    serfWanBind: oneIp(read, "serf_wan", host) ?? bind,
    tagged: { ...read.map("tagged_addresses"), ...taggedOf(read, host, advertise, advertiseWan) },
    dns,
    http: listeners("http"),
    https: listeners("https"),
    grpc: listeners("grpc"),
    grpcTls: listeners("grpc_tls"),
  };
}

/** Addresses of a text with templates; what is no address is left out. */
export function expandList(path: string, text: string, host: HostFacts): string[] {
  const addresses: string[] = [];
  for (const part of expandTexts(path, text, host)) {
    if (part.startsWith("unix://")) addresses.push(part);
    else if (isIp(part)) addresses.push(part.replace(/^\[|\]$/g, ""));
  }
  return addresses;
}

/** The words of a text with its templates expanded. */
export function expandTexts(path: string, text: string, host: HostFacts): string[] {
  let expanded: string;
  try {
    expanded = expandTemplate(text, host.interfaces);
  } catch (error) {
    throw new ConfigRefusal(`${path}: error parsing ${JSON.stringify(text)}: ${error}`);
  }
  return expanded.split(/\s+/).filter((part) => part !== "");
}

function onlyBind(addresses: string[]): string {
  const [bind, second] = addresses;
  if (bind === undefined) throw new ConfigRefusal("bind_addr cannot be empty");
  if (second !== undefined) {
    throw new ConfigRefusal(
      "bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead.",
    );
  }
  if (bind.startsWith("unix://")) throw new ConfigRefusal("bind_addr cannot be a unix socket");
  return bind;
}

function oneIp(read: SettingsReader, path: string, host: HostFacts): string | undefined {
  const text = read.string(path);
  if (text === "") return undefined;
  const addresses = expandList(path, text, host);
  const [address] = addresses;
  if (addresses.length > 1) {
    throw new ConfigRefusal(`${path} cannot contain multiple addresses`);
  }
  if (address === undefined) throw new ConfigRefusal(`${path} must be an ip address`);
  if (address.startsWith("unix://")) throw new ConfigRefusal(`${path} cannot be a unix socket`);
  return address;
}

/** Only for a node that binds every address: it must have exactly one that suits. */
function detectAdvertise(bind: string, host: HostFacts): string {
  if (!isAnyAddress(bind)) return bind;
  const family = parseIp(bind)!.family;
  const isWanted = family === 4
    ? isPrivate
    : (ip: Parameters<typeof isPrivate>[0]) => !isPrivate(ip);
  const others = host.interfaces.filter(({ isLoopback }) => !isLoopback);
  const usable = others.length > 0 ? others : host.interfaces;
  const found = usable.map(({ address }) => address).filter((address) => {
    const ip = parseIp(address);
    return ip !== undefined && ip.family === family && isWanted(ip);
  });
  const kind = family === 4 ? "private IPv4" : "public IPv6";
  const [address] = found;
  if (address === undefined) throw new ConfigRefusal(`No ${kind} address found`);
  if (found.length > 1) {
    throw new ConfigRefusal(
      `Multiple ${kind} addresses found. Please configure one with 'bind' and/or 'advertise'.`,
    );
  }
  return address;
}

function taggedOf(
  read: SettingsReader,
  host: HostFacts,
  advertise: string,
  advertiseWan: string,
): Record<string, string> {
  const tagged: Record<string, string> = { lan: advertise, wan: advertiseWan };
  for (
    const [scope, prefix, general] of [
      ["lan", "advertise_addr", advertise],
      ["wan", "advertise_addr_wan", advertiseWan],
    ] as const
  ) {
    for (const family of [4, 6] as const) {
      const path = `${prefix}_ipv${family}`;
      const own = oneIp(read, path, host);
      if (own !== undefined && parseIp(own)!.family !== family) {
        throw new ConfigRefusal(`${path} must be an ipv${family} address`);
      }
      const address = own ?? (parseIp(general)!.family === family ? general : undefined);
      if (address !== undefined) tagged[`${scope}_ipv${family}`] = address;
    }
  }
  return tagged;
}

/** Two listeners on one address are refused before anything starts. */
export function refuseSharedListeners(
  addresses: AddressConfig,
  ports: PortConfig,
  isServer: boolean,
): void {
  const inUse = new Map<string, string>();
  const claim = (name: string, listeners: string[], port: number) => {
    if (port <= 0) return;
    for (const listener of listeners) {
      const address = listener.startsWith("unix://") ? listener : joinHostPort(listener, port);
      const owner = inUse.get(address);
      if (owner !== undefined) {
        throw new ConfigRefusal(`${name} address ${address} already configured for ${owner}`);
      }
      inUse.set(address, name);
    }
  };
  claim("DNS", addresses.dns, ports.dns);
  claim("HTTP", addresses.http, ports.http);
  claim("HTTPS", addresses.https, ports.https);
  claim("RPC Advertise", [addresses.advertise], ports.server);
  claim("Serf Advertise LAN", [addresses.advertise], ports.serfLan);
  if (isServer) claim("Serf Advertise WAN", [addresses.advertiseWan], ports.serfWan);
}

export function joinHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
