// One text of configuration (a file or a -hcl fragment) to settings.

import { HclError, parseHcl } from "../codec/hcl.ts";
import { decode } from "./decode.ts";
import type { Settings } from "./decode.ts";
import { deprecatedKeys, enterpriseKeys, oldTlsVersions, segmentKeys } from "./keys/deprecated.ts";
import { ConfigRefusal, joinRefusals } from "./refusal.ts";

export { ConfigRefusal, joinRefusals } from "./refusal.ts";

export type ConfigFormat = "json" | "hcl";

export interface ConfigSource {
  name: string;
  format: ConfigFormat;
  text: string;
}

/** The format by extension, undefined when it has another one. */
export function formatOf(path: string): ConfigFormat | undefined {
  if (path.endsWith(".json")) return "json";
  if (path.endsWith(".hcl")) return "hcl";
  return undefined;
}

/** What the source sets, under today's key names. Throws ConfigRefusal. */
export function parseSource(source: ConfigSource, warnings: string[]): Settings {
  if (source.text.trim() === "") return new Map();
  const refuse = (text: string) => {
    throw new ConfigRefusal(`failed to parse ${source.name}: ${text}`);
  };
  const { settings, unknown, errors } = decode(parseText(source, refuse));
  if (errors.length > 0) {
    const list = errors.map((text) => `* ${text}`).join("\n");
    refuse(`${errors.length} error(s) decoding:\n\n${list}`);
  }
  if (unknown.length > 0) {
    refuse(joinRefusals(unknown.map((path) => `invalid config key ${path}`)));
  }
  if (segmentKeys.some(({ path }) => settings.has(path))) {
    refuse("Network segments are not supported in this version of Consul");
  }
  replaceOldKeys(settings, warnings);
  joinSingular(settings, "service", "services");
  joinSingular(settings, "check", "checks");
  return settings;
}

function parseText(source: ConfigSource, refuse: (text: string) => void): unknown {
  try {
    return source.format === "json" ? JSON.parse(source.text) : parseHcl(source.text);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof HclError) refuse(error.message);
    throw error;
  }
}

function replaceOldKeys(settings: Settings, warnings: string[]): void {
  if (settings.delete("acl_enforce_version_8")) {
    warnings.push('config key "acl_enforce_version_8" is deprecated and should be removed');
  }
  for (const { path } of enterpriseKeys) {
    if (!settings.delete(path)) continue;
    warnings.push(`"${path}" is a Consul Enterprise configuration and will have no effect`);
  }
  const oldIncoming = settings.get("verify_incoming");
  for (const { path, now } of deprecatedKeys) {
    const value = settings.get(path);
    if (value === undefined) continue;
    settings.delete(path);
    if (now === "") {
      warnings.push(`The '${path}' field is deprecated and will be ignored.`);
      continue;
    }
    warnings.push(`The '${path}' field is deprecated. Use the '${now}' field instead.`);
    putOld(settings, path, now, value);
  }
  // The one that is still told to the others.
  if (settings.has("read_replica")) {
    const keys = "read_replica (or the deprecated non_voting_server)";
    warnings.push(`"${keys}" is a Consul Enterprise configuration and will have no effect`);
  }
  if (oldIncoming !== undefined && !settings.has("tls.grpc.verify_incoming")) {
    settings.set("tls.grpc.verify_incoming", false);
  }
}

/** The new key wins when both are there; lists come together. */
function putOld(settings: Settings, path: string, now: string, value: unknown): void {
  const present = settings.get(now);
  if (Array.isArray(value)) {
    settings.set(now, [...(Array.isArray(present) ? present : []), ...value]);
  } else if (present === undefined) {
    const isTlsVersion = path === "tls_min_version" && typeof value === "string";
    settings.set(now, isTlsVersion ? oldTlsVersions.get(value) ?? value : value);
  }
  if (path === "acl_datacenter") settings.set("acl.enabled", true);
  if (path === "acl_replication_token") settings.set("acl.enable_token_replication", true);
}

function joinSingular(settings: Settings, singular: string, plural: string): void {
  const one = settings.get(singular);
  if (one === undefined) return;
  settings.delete(singular);
  const many = settings.get(plural);
  settings.set(plural, [...(Array.isArray(many) ? many : []), one]);
}
