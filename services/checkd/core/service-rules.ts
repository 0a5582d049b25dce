// Whether a service may be registered, with Consul's texts, and what it becomes with defaults.

import { CuriaError } from "#shared/errors.ts";
import type { ServiceRow } from "./model.ts";
import { proxyFaults } from "./proxy-rules.ts";

const metaPairsMax = 64;
const metaKeyMax = 128;
const metaValueMax = 512;
const reservedPrefix = "consul-";
/** Reserved keys that a kind of service may set itself. */
const allowedReserved: Record<string, string[]> = {
  "mesh-gateway": ["consul-wan-federation"],
};

/** Throws the first thing that Consul would find wrong. `prefixed` as over HTTP. */
export function refuseInvalidService(service: ServiceRow): void {
  if (service.service === "") throw invalid("Missing service name");
  if (isAnyAddress(service.address)) throw invalid("Invalid service address");
  const weights = weightsFault(service.weights);
  if (weights !== undefined) throw invalid(`Invalid Weights: ${weights}`);
  const meta = metaFault(service.meta, allowedReserved[service.kind] ?? []);
  if (meta !== undefined) throw invalid(`Invalid Service Meta: ${meta}`);
  const faults = proxyFaults(service);
  if (faults.length > 0) throw invalid(`Validation failed: ${listOfErrors(faults)}`);
  for (const [tag, family] of taggedFamilies) {
    const tagged = service.taggedAddresses[tag];
    if (tagged !== undefined && ipFamily(tagged.address) !== family) {
      throw new CuriaError(
        "internal",
        `Service tagged address "${tag}" must be a valid ipv${family} address`,
      );
    }
  }
}

/** Id, weights and the tagged addresses that follow from a literal address. */
export function withDefaults(service: ServiceRow): ServiceRow {
  const row = { ...service, id: service.id === "" ? service.service : service.id };
  row.connectJson = onlyNative(service.connectJson);
  const family = ipFamily(row.address);
  if (family === undefined) return row;
  const literal = { address: row.address, port: row.port };
  row.taggedAddresses = {
    [`lan_ipv${family}`]: literal,
    [`wan_ipv${family}`]: literal,
    ...row.taggedAddresses,
  };
  return row;
}

const taggedFamilies: [string, 4 | 6][] = [
  ["lan_ipv4", 4],
  ["wan_ipv4", 4],
  ["lan_ipv6", 6],
  ["wan_ipv6", 6],
];

function weightsFault(weights: { passing: number; warning: number }): string | undefined {
  if (weights.passing < 1) return "Passing must be greater than 0";
  if (weights.warning < 0) return "Warning must be greater or equal than 0";
  if (weights.passing > 65535 || weights.warning > 65535) {
    return "DNS Weight must be between 0 and 65535";
  }
  return undefined;
}

function metaFault(meta: Record<string, string>, allowed: string[]): string | undefined {
  const pairs = Object.entries(meta);
  if (pairs.length > metaPairsMax) {
    return `Node metadata cannot contain more than ${metaPairsMax} key/value pairs`;
  }
  for (const [key, value] of pairs.sort(([a], [b]) => a < b ? -1 : 1)) {
    const fault = pairFault(key, value, allowed);
    if (fault !== undefined) return `Couldn't load metadata pair ('${key}', '${value}'): ${fault}`;
  }
  return undefined;
}

function pairFault(key: string, value: string, allowed: string[]): string | undefined {
  if (key === "") return "Key cannot be blank";
  if (!/^[a-zA-Z0-9_-]+$/.test(key)) return "Key contains invalid characters";
  if (key.length > metaKeyMax) return `Key is too long (limit: ${metaKeyMax} characters)`;
  if (key.startsWith(reservedPrefix) && !allowed.includes(key)) {
    return `Key prefix '${reservedPrefix}' is reserved for internal use`;
  }
  if (value.length > metaValueMax) {
    return `Value is too long (limit: ${metaValueMax} characters)`;
  }
  return undefined;
}

export function isAnyAddress(address: string): boolean {
  return address === "0.0.0.0" || address === "::" || address === "[::]";
}

/** 4 or 6 for a literal IP address. */
export function ipFamily(address: string): 4 | 6 | undefined {
  const octet = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
  if (new RegExp(`^${octet}(\\.${octet}){3}$`).test(address)) return 4;
  if (!address.includes(":") || !/^[0-9a-fA-F:.]+$/.test(address)) return undefined;
  const halves = address.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.flatMap((half) => half === "" ? [] : half.split(":"));
  const last = groups.at(-1) ?? "";
  const width = last.includes(".") ? groups.length + 1 : groups.length;
  const hex = last.includes(".") ? groups.slice(0, -1) : groups;
  if (last.includes(".") && ipFamily(last) !== 4) return undefined;
  if (!hex.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return halves.length === 2 ? (width < 8 ? 6 : undefined) : (width === 8 ? 6 : undefined);
}

/** The sidecar block is a registration of its own and never part of the row. */
function onlyNative(connectJson: string): string {
  if (connectJson === "") return "";
  const connect = JSON.parse(connectJson) as { Native?: boolean };
  return connect.Native === true ? '{"Native":true}' : "";
}

/** Several errors in the form in which Consul lists them. */
function listOfErrors(faults: string[]): string {
  const head = faults.length === 1 ? "1 error occurred:" : `${faults.length} errors occurred:`;
  return `${head}\n${faults.map((fault) => `\t* ${fault}\n`).join("")}\n`;
}

function invalid(message: string): CuriaError {
  return new CuriaError("invalid-argument", message);
}
