// Consul's name grammar: which lookup a name inside the domain stands for.

import { isWithin, splitLabels } from "./domain-name.ts";
import { typeCodes } from "./records/records.ts";
import type { DnsSettings } from "./settings.ts";
import type { Place } from "./view.ts";

export type ConsulName =
  | { kind: "node"; node: string; place: Place }
  | { kind: "service"; service: string; tag: string; place: Place }
  | { kind: "connect" | "ingress"; service: string; place: Place }
  | { kind: "virtual"; service: string; peer: string }
  | { kind: "query"; query: string; datacenter: string }
  | { kind: "addr"; label: string }
  | { kind: "invalid" };

const invalid: ConsulName = { kind: "invalid" };
const kinds = new Set(["service", "connect", "virtual", "ingress", "node", "query", "addr"]);

/** Reads the name from the right: locality suffix, then the kind, then what is asked for. */
export function parseConsulName(name: string, type: number, settings: DnsSettings): ConsulName {
  const labels = splitLabels(withoutDomain(name.toLowerCase(), settings));
  for (let i = labels.length - 1; i >= 0; i--) {
    const label = labels[i]!;
    if (kinds.has(label)) {
      return parseKind(label, labels.slice(0, i), labels.slice(i + 1), settings);
    }
    // `_db._tcp.consul` works without the word service, for SRV only.
    if (type === typeCodes.SRV && label.startsWith("_")) {
      return parseKind("service", labels.slice(0, i + 1), labels.slice(i + 1), settings);
    }
  }
  return invalid;
}

function parseKind(
  kind: string,
  parts: string[],
  suffix: string[],
  settings: DnsSettings,
): ConsulName {
  if (parts.length === 0) return invalid;
  const last = parts[parts.length - 1]!;
  if (kind === "addr") return parts.length === 1 ? { kind, label: last } : invalid;
  if (kind === "query") {
    if (suffix.length > 1) return invalid;
    return { kind, query: queryName(parts), datacenter: suffix[0] ?? settings.datacenter };
  }
  const locality = parseLocality(suffix);
  if (locality === undefined) return invalid;
  const datacenter = locality.datacenter ?? settings.datacenter;
  switch (kind) {
    case "node":
      return { kind, node: parts.join("."), place: { datacenter, peer: locality.peer } };
    case "service":
      return { kind, ...serviceAndTag(parts), place: { datacenter, peer: locality.peer } };
    case "connect":
    case "ingress":
      // A peer is read and then ignored, as in Consul.
      return { kind, service: last, place: { datacenter, peer: "" } };
    case "virtual":
      return { kind, service: last, peer: locality.peer || locality.bare };
    default:
      return invalid;
  }
}

interface Locality {
  datacenter: string | undefined;
  peer: string;
  /** A single label without keyword: a datacenter, or for virtual addresses a peer. */
  bare: string;
}

function parseLocality(suffix: string[]): Locality | undefined {
  if (suffix.length === 0) return { datacenter: undefined, peer: "", bare: "" };
  if (suffix.length === 1) return { datacenter: suffix[0], peer: "", bare: suffix[0]! };
  if (suffix.length !== 2 && suffix.length !== 4) return undefined;
  const locality: Locality = { datacenter: undefined, peer: "", bare: "" };
  for (let i = 0; i < suffix.length; i += 2) {
    // Namespaces, partitions and sameness groups are not of the community edition.
    if (suffix[i + 1] === "dc") locality.datacenter = suffix[i];
    else if (suffix[i + 1] === "peer") locality.peer = suffix[i]!;
    else return undefined;
  }
  return locality.datacenter !== undefined && locality.peer !== "" ? undefined : locality;
}

/** RFC 2782 form with exactly two parts, else everything before the service is one tag. */
function serviceAndTag(parts: string[]): { service: string; tag: string } {
  const [first, second] = parts as [string, string?];
  if (parts.length === 2 && first.startsWith("_") && second!.startsWith("_")) {
    const tag = second!.slice(1);
    return { service: first.slice(1), tag: tag === "tcp" ? "" : tag };
  }
  return { service: parts[parts.length - 1]!, tag: parts.slice(0, -1).join(".") };
}

function queryName(parts: string[]): string {
  const last = parts[parts.length - 1]!;
  if (parts.length >= 2 && parts[0]!.startsWith("_") && last.startsWith("_")) {
    return parts.slice(0, -1).join(".").slice(1);
  }
  return parts.join(".");
}

/** The longer domain is tried first, so that one may lie inside the other. */
function withoutDomain(lowerName: string, settings: DnsSettings): string {
  const { domain, altDomain } = settings;
  const [longer, shorter] = altDomain.length > domain.length
    ? [altDomain, domain]
    : [domain, altDomain];
  if (lowerName.endsWith("." + longer)) return lowerName.slice(0, -longer.length);
  return shorter !== "" && lowerName.endsWith(shorter)
    ? lowerName.slice(0, -shorter.length)
    : lowerName;
}

/** The domain as it appears in answers: the longest that the question ends with, in the letter case
 *  of the question. */
export function responseDomain(name: string, settings: DnsSettings): string {
  const domain = configuredDomain(name, settings);
  return isWithin(name.toLowerCase(), domain) ? name.slice(name.length - domain.length) : domain;
}

/** As `responseDomain`, in the letter case of the configuration. */
export function configuredDomain(name: string, settings: DnsSettings): string {
  const lower = name.toLowerCase();
  const { domain, altDomain } = settings;
  const inDomain = isWithin(lower, domain);
  const inAlt = altDomain !== "" && isWithin(lower, altDomain);
  if (inAlt && (!inDomain || altDomain.length > domain.length)) return altDomain;
  return domain;
}
