// Configuration of the built-in provider: defaults, limits and Consul's meaning of each key.

import { formatDuration, nsToMs, parseDuration } from "#shared/consul/duration.ts";
import { CuriaError } from "#shared/errors.ts";

/** As it is stored and shown (`/v1/connect/ca/configuration`). */
export interface CaConfigBody {
  ClusterID: string;
  Provider: string;
  Config: Record<string, unknown>;
  State: Record<string, string> | null;
  ForceWithoutCrossSigning: boolean;
}

export interface CaSettings {
  leafTtlMs: number;
  intermediateTtlMs: number;
  rootTtlMs: number;
  keyType: "ec" | "rsa";
  keyBits: number;
  csrPerSecond: number;
  /** PEM given by the operator; empty: made here. */
  privateKey: string;
  rootCert: string;
  disableCrossSigning: boolean;
}

const defaults = { LeafCertTTL: "72h", IntermediateCertTTL: "8760h", RootCertTTL: "87600h" };
const hourMs = 3_600_000;
const leafTtlMinMs = hourMs;
const yearMs = 8760 * hourMs;
const intermediateTtlMinMs = 3 * hourMs;
const csrPerSecondDefault = 50;

/** Keys with Consul's spelling and defaults where nothing was given; unknown ones stay. */
export function withConfigDefaults(given: Record<string, unknown>): Record<string, unknown> {
  const config: Record<string, unknown> = { ...defaults };
  for (const [key, value] of Object.entries(given)) {
    const known = knownKeys.find((name) => fold(name) === fold(key)) ?? key;
    config[known] = value;
  }
  return config;
}

const knownKeys = [
  ...["LeafCertTTL", "IntermediateCertTTL", "RootCertTTL", "PrivateKeyType", "PrivateKeyBits"],
  ...["CSRMaxPerSecond", "CSRMaxConcurrent", "SkipValidate", "PrivateKey", "RootCert"],
  ...["DisableCrossSigning", "RotationPeriod"],
];

/** Case and the underscores of configuration files do not count. */
function fold(key: string): string {
  return key.replaceAll("_", "").toLowerCase();
}

/** Throws `failed-precondition` for what the provider cannot work with. */
export function readSettings(given: Record<string, unknown>): CaSettings {
  const config = withConfigDefaults(given);
  const keyType = String(config.PrivateKeyType || "ec");
  if (keyType !== "ec" && keyType !== "rsa") {
    throw refused("private key type must be either 'ec' or 'rsa'");
  }
  const settings: CaSettings = {
    leafTtlMs: durationMs(config, "LeafCertTTL"),
    intermediateTtlMs: durationMs(config, "IntermediateCertTTL"),
    rootTtlMs: durationMs(config, "RootCertTTL"),
    keyType,
    keyBits: Number(config.PrivateKeyBits || (keyType === "ec" ? 256 : 2048)),
    csrPerSecond: Number(config.CSRMaxPerSecond ?? csrPerSecondDefault),
    privateKey: String(config.PrivateKey ?? ""),
    rootCert: String(config.RootCert ?? ""),
    disableCrossSigning: config.DisableCrossSigning === true,
  };
  refuseKey(settings);
  if (config.SkipValidate !== true) refuseTtls(settings);
  if (settings.rootCert !== "" && settings.privateKey === "") {
    throw refused("must provide a private key when providing a root cert");
  }
  return settings;
}

function refuseKey({ keyType, keyBits }: CaSettings): void {
  if (keyType === "rsa" && keyBits !== 2048 && keyBits !== 4096) {
    throw refused(`RSA key length must be 2048 or 4096 bits, not ${keyBits}`);
  }
  if (keyType === "ec" && ![256, 384, 521].includes(keyBits)) {
    throw refused(`EC key length must be one of (256, 384, 521) bits, not ${keyBits}`);
  }
}

function refuseTtls({ leafTtlMs, intermediateTtlMs, rootTtlMs }: CaSettings): void {
  if (leafTtlMs < leafTtlMinMs) {
    throw refused(`leaf cert TTL must be greater or equal than ${show(leafTtlMinMs)}`);
  }
  if (leafTtlMs > yearMs) throw refused(`leaf cert TTL must be less than ${show(yearMs)}`);
  if (intermediateTtlMs < intermediateTtlMinMs) {
    throw refused(
      `Intermediate Cert TTL must be greater or equal than ${show(intermediateTtlMinMs)}`,
    );
  }
  if (intermediateTtlMs < 3 * leafTtlMs) {
    throw refused(
      `Intermediate Cert TTL must be greater or equal than 3 * LeafCertTTL ` +
        `(>=${show(3 * leafTtlMs)}).`,
    );
  }
  if (rootTtlMs < intermediateTtlMs) {
    throw refused(
      "root cert TTL is set and is not greater than intermediate cert ttl. " +
        `root cert ttl: ${show(rootTtlMs)}, intermediate cert ttl: ${show(intermediateTtlMs)}`,
    );
  }
}

/** Text in Go's form, or a number of nanoseconds. */
function durationMs(config: Record<string, unknown>, key: string): number {
  const value = config[key];
  if (typeof value === "number") return value / 1e6;
  try {
    return nsToMs(parseDuration(String(value)));
  } catch (error) {
    throw refused(`${key}: ${(error as Error).message}`);
  }
}

function show(ms: number): string {
  return formatDuration(BigInt(ms) * 1_000_000n);
}

function refused(text: string): CuriaError {
  return new CuriaError("failed-precondition", text);
}
