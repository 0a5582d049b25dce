// What every read takes from its query string and headers (spec: http-api 1.8 to 1.10, 2, 3).

import { DurationError, nsToMs, parseDuration } from "#shared/consul/duration.ts";
import { HttpError } from "./http-error.ts";
import type { QueryString } from "./query-string.ts";

export interface HeaderReader {
  header(name: string): string | undefined;
  /** False when no header of Consul's own came at all. */
  readonly hasConsulHeaders?: boolean;
}

export type ReadMode = "default" | "consistent" | "stale";

export interface CacheControl {
  /** Milliseconds; undefined: not given. */
  maxAgeMs: number | undefined;
  mustRevalidate: boolean;
  staleIfErrorMs: number;
}

export interface ReadOptions {
  /** Empty: this datacenter. */
  datacenter: string;
  token: string;
  mode: ReadMode;
  /** The answer's last contact may be this old, else the leader is asked; 0: no bound. */
  staleMaxMs: number;
  /** 0: do not block. May be beyond 2^53, rounded: it is only compared. */
  index: number;
  /** Before defaults and limits; 0: not given. */
  waitMs: number;
  isCached: boolean;
  cacheControl: CacheControl;
}

export interface ReadDefaults {
  datacenter: string;
  token: string;
  /** `discovery_max_stale`, for paths of catalog and health. */
  discoveryStaleMaxMs: number;
  useCache: boolean;
  /** False: ACLs are off, so a token changes nothing. */
  usesTokens: boolean;
}

/** What no parameter at all means. */
const plainOptions: ReadOptions = {
  datacenter: "",
  token: "",
  mode: "default",
  staleMaxMs: 0,
  index: 0,
  waitMs: 0,
  isCached: false,
  cacheControl: { maxAgeMs: undefined, mustRevalidate: false, staleIfErrorMs: 0 },
};

const uint64Max = (1n << 64n) - 1n;

export function parseReadOptions(
  query: QueryString,
  headers: HeaderReader,
  defaults: ReadDefaults,
  isDiscovery: boolean,
): ReadOptions {
  const isPlain = query.isEmpty && !defaults.usesTokens &&
    (!isDiscovery || defaults.discoveryStaleMaxMs <= 0);
  if (isPlain) return plainOptions;
  const index = parseIndex(query.get("index"));
  const waitMs = parseWait(query.get("wait"));
  const isStale = query.has("stale");
  const isConsistent = query.has("consistent");
  const isCached = query.has("cached") && defaults.useCache;
  const staleBoundMs = parseMaxStale(query.get("max_stale"));
  let mode: ReadMode = isConsistent
    ? "consistent"
    : isStale || staleBoundMs > 0
    ? "stale"
    : "default";
  let staleMaxMs = staleBoundMs;
  if (
    isDiscovery && mode === "default" && !query.has("leader") && !isCached &&
    defaults.discoveryStaleMaxMs > 0
  ) {
    mode = "stale";
    staleMaxMs = defaults.discoveryStaleMaxMs;
  }
  if (isStale && isConsistent) {
    throw new HttpError(400, "Cannot specify ?stale with ?consistent, conflicting semantics.");
  }
  if (isCached && isConsistent) {
    throw new HttpError(400, "Cannot specify ?cached with ?consistent, conflicting semantics.");
  }
  return {
    datacenter: parseDatacenter(query, defaults.datacenter),
    token: defaults.usesTokens ? parseToken(query, headers, defaults.token) : "",
    mode,
    staleMaxMs,
    index,
    waitMs,
    isCached,
    cacheControl: isCached ? parseCacheControl(headers.header("cache-control")) : noCacheControl,
  };
}

/** Empty when it is our own. */
export function parseDatacenter(query: QueryString, own: string): string {
  const named = query.get("datacenter") || query.get("dc");
  return named.toLowerCase() === own.toLowerCase() ? "" : named;
}

export function parseToken(query: QueryString, headers: HeaderReader, standard: string): string {
  const given = query.get("token") || headers.header("x-consul-token");
  if (given !== undefined && given !== "") return given;
  const authorization = headers.header("authorization");
  if (authorization !== undefined) {
    const [scheme, token] = authorization.trim().split(/\s+/);
    if (scheme?.toLowerCase() === "bearer" && token !== undefined) return token;
  }
  return standard;
}

function parseIndex(text: string): number {
  if (text === "") return 0;
  if (!/^\d+$/.test(text) || BigInt(text) > uint64Max) throw new HttpError(400, "Invalid index");
  return Number(text);
}

function parseWait(text: string): number {
  if (text === "") return 0;
  const ns = durationOf(text);
  if (ns === undefined) throw new HttpError(400, "Invalid wait time");
  return Math.max(0, nsToMs(ns));
}

function parseMaxStale(text: string): number {
  if (text === "") return 0;
  const ns = durationOf(text);
  if (ns === undefined) throw new HttpError(400, `Invalid max_stale value "${text}"`);
  return Math.max(0, nsToMs(ns));
}

function durationOf(text: string): bigint | undefined {
  try {
    return parseDuration(text);
  } catch (error) {
    if (error instanceof DurationError) return undefined;
    throw error;
  }
}

const noCacheControl: CacheControl = {
  maxAgeMs: undefined,
  mustRevalidate: false,
  staleIfErrorMs: 0,
};

function parseCacheControl(header: string | undefined): CacheControl {
  const control: CacheControl = { ...noCacheControl };
  for (const part of (header ?? "").toLowerCase().split(",")) {
    const [name, value = ""] = part.trim().split("=", 2);
    if (name === "must-revalidate") control.mustRevalidate = true;
    if (name !== "max-age" && name !== "stale-if-error") continue;
    if (!/^[+-]?\d+$/.test(value)) throw new HttpError(400, "Invalid Cache-Control header.");
    const ms = Number(value) * 1000;
    if (name === "stale-if-error") control.staleIfErrorMs = ms;
    else if (ms === 0) control.mustRevalidate = true;
    else control.maxAgeMs = ms;
  }
  return control;
}

/** What a route looks at of the enterprise parameters, all of which the open edition refuses. */
export type EnterpriseCheck = "none" | "partition" | "both";

const namespaces = "Namespaces are a Consul Enterprise feature";
const partitions = "Partitions are a Consul Enterprise feature";

export function checkEnterprise(
  check: EnterpriseCheck,
  query: QueryString,
  headers: HeaderReader,
): void {
  if (check === "none" || (query.isEmpty && headers.hasConsulHeaders === false)) return;
  if (check === "both") refuseBoth("X-Consul-Namespace", "ns", namespaces, query, headers);
  refuseBoth("X-Consul-Partition", "partition", partitions, query, headers);
}

function refuseBoth(
  header: string,
  parameter: string,
  feature: string,
  query: QueryString,
  headers: HeaderReader,
): void {
  if ((headers.header(header.toLowerCase()) ?? "") !== "") {
    throw new HttpError(400, `Invalid header: "${header}" - ${feature}`);
  }
  if (query.get(parameter) !== "") {
    throw new HttpError(400, `Invalid query parameter: "${parameter}" - ${feature}`);
  }
}

/** `node-meta=key:value`, repeated; a value without a colon means an empty one. All must hold. */
export function parseNodeMeta(query: QueryString): [string, string][] {
  return query.all("node-meta").map((pair) => {
    const colon = pair.indexOf(":");
    return colon < 0 ? [pair, ""] : [pair.slice(0, colon), pair.slice(colon + 1)];
  });
}

/** Go's strconv.ParseBool. */
export function parseBool(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  return undefined;
}

/** Go's strconv.ParseUint in base 10. Throws with Go's text. */
export function parseUint(text: string): bigint {
  const failure = (why: string) =>
    new HttpError(500, `strconv.ParseUint: parsing ${JSON.stringify(text)}: ${why}`);
  if (!/^\d+$/.test(text)) throw failure("invalid syntax");
  const value = BigInt(text);
  if (value > uint64Max) throw failure("value out of range");
  return value;
}

/** How long a blocking read waits: default, maximum, and up to a sixteenth more so that a herd of
 *  clients does not come back at once. `fraction` is random in [0, 1). */
export function waitWithJitter(
  waitMs: number,
  defaultMs: number,
  maximumMs: number,
  fraction: number,
): number {
  const base = waitMs <= 0 ? defaultMs : Math.min(waitMs, maximumMs);
  return base + base / 16 * fraction;
}
