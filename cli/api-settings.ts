// How the command line reaches an agent: its flags, Consul's environment variables, TLS files.

import { readFileSync } from "node:fs";
import { parseGoBool } from "#shared/config/go-flags.ts";
import type { FlagSpec } from "#shared/config/go-flags.ts";
import type { Flags } from "./flags.ts";
import { goOpenError } from "./go-errors.ts";

export interface ApiSettings {
  /** `http://host:port` and a path prefix, without a final slash. */
  base: string;
  /** Path of a Unix socket, or empty. */
  unixSocket: string;
  token: string;
  basicAuth: string;
  tls: Record<string, unknown>;
  datacenter: string;
  stale: boolean;
  namespace: string;
  partition: string;
  warnings: string[];
}

/** The settings themselves are wrong; nothing was asked of an agent. */
export class SettingsError extends Error {
  override name = "SettingsError";
}

export const clientFlags: readonly FlagSpec[] = [
  {
    name: "ca-file",
    type: "string",
    help: "Path to a CA file to use for TLS when communicating with Consul. This can also be " +
      "specified via the CONSUL_CACERT environment variable.",
  },
  {
    name: "ca-path",
    type: "string",
    help: "Path to a directory of CA certificates to use for TLS when communicating with " +
      "Consul. This can also be specified via the CONSUL_CAPATH environment variable.",
  },
  {
    name: "client-cert",
    type: "string",
    help: "Path to a client cert file to use for TLS when 'verify_incoming' is enabled. This " +
      "can also be specified via the CONSUL_CLIENT_CERT environment variable.",
  },
  {
    name: "client-key",
    type: "string",
    help: "Path to a client key file to use for TLS when 'verify_incoming' is enabled. This " +
      "can also be specified via the CONSUL_CLIENT_KEY environment variable.",
  },
  {
    name: "http-addr",
    type: "string",
    help: "The `address` and port of the Consul HTTP agent. The value can be an IP address or " +
      "DNS address, but it must also include the port. This can also be specified via the " +
      "CONSUL_HTTP_ADDR environment variable. The default value is http://127.0.0.1:8500.",
  },
  {
    name: "tls-server-name",
    type: "string",
    help: "The server name to use as the SNI host when connecting via TLS. This can also be " +
      "specified via the CONSUL_TLS_SERVER_NAME environment variable.",
  },
  {
    name: "token",
    type: "string",
    help: "ACL token to use in the request. This can also be specified via the " +
      "CONSUL_HTTP_TOKEN environment variable.",
  },
  {
    name: "token-file",
    type: "string",
    help: "File containing the ACL token to use in the request instead of one specified via " +
      "the -token argument or CONSUL_HTTP_TOKEN environment variable.",
  },
];

export const serverFlags: readonly FlagSpec[] = [
  {
    name: "datacenter",
    type: "string",
    help: "Name of the datacenter to query. If unspecified, this will default to the " +
      "datacenter of the queried agent.",
  },
  {
    name: "stale",
    type: "bool",
    help: "Permit any Consul server (non-leader) to respond to this request.",
  },
];

export const tenancyFlags: readonly FlagSpec[] = [
  { name: "namespace", type: "string", help: "Accepted for Consul Enterprise's scripts." },
  { name: "partition", type: "string", help: "Accepted for Consul Enterprise's scripts." },
];

type Env = Readonly<Record<string, string | undefined>>;

/** Throws SettingsError. */
export function readApiSettings(flags: Flags, env: Env): ApiSettings {
  const pick = (name: string, variable: string) => flags.string(name) || (env[variable] ?? "");
  const warnings: string[] = [];
  const isTls = parseGoBool(env["CONSUL_HTTP_SSL"] || "false");
  if (isTls === undefined) warnings.push(unreadableBool("CONSUL_HTTP_SSL", env));
  const isVerified = parseGoBool(env["CONSUL_HTTP_SSL_VERIFY"] || "true");
  if (isVerified === undefined) warnings.push(unreadableBool("CONSUL_HTTP_SSL_VERIFY", env));
  const address = pick("http-addr", "CONSUL_HTTP_ADDR") || "127.0.0.1:8500";
  const place = readAddress(address, isTls === true);
  return {
    ...place,
    token: readToken(flags, env),
    basicAuth: env["CONSUL_HTTP_AUTH"] ?? "",
    tls: {
      ...fileOption("ca", pick("ca-file", "CONSUL_CACERT")),
      ...fileOption("cert", pick("client-cert", "CONSUL_CLIENT_CERT")),
      ...fileOption("key", pick("client-key", "CONSUL_CLIENT_KEY")),
      ...textOption("serverName", pick("tls-server-name", "CONSUL_TLS_SERVER_NAME")),
      ...(isVerified === false ? { rejectUnauthorized: false } : {}),
    },
    datacenter: flags.string("datacenter"),
    stale: flags.bool("stale"),
    namespace: pick("namespace", "CONSUL_NAMESPACE"),
    partition: pick("partition", "CONSUL_PARTITION"),
    warnings,
  };
}

function readAddress(address: string, isTls: boolean): { base: string; unixSocket: string } {
  const match = /^([a-zA-Z0-9+.-]*):\/\/(.*)$/s.exec(address);
  const scheme = match?.[1] ?? "";
  const rest = match === null ? address : match[2]!;
  if (scheme === "unix") return { base: "http://unix", unixSocket: rest };
  if (match !== null && scheme !== "http" && scheme !== "https") {
    throw new SettingsError(`Unknown protocol scheme: ${scheme}`);
  }
  const isSecure = scheme === "https" || isTls;
  return { base: `${isSecure ? "https" : "http"}://${rest.replace(/\/+$/, "")}`, unixSocket: "" };
}

function readToken(flags: Flags, env: Env): string {
  const file = flags.string("token-file");
  if (file !== "") return readTokenFile(file);
  if (flags.string("token") !== "") return flags.string("token");
  const envFile = env["CONSUL_HTTP_TOKEN_FILE"] ?? "";
  return envFile !== "" ? readTokenFile(envFile) : env["CONSUL_HTTP_TOKEN"] ?? "";
}

function readTokenFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new SettingsError(`Error loading token file: ${goOpenError(path, error)}`);
  }
  return text;
}

function fileOption(name: string, path: string): Record<string, string> {
  if (path === "") return {};
  try {
    return { [name]: readFileSync(path, "utf8") };
  } catch (error) {
    throw new SettingsError(`Error loading ${path}: ${goOpenError(path, error)}`);
  }
}

function textOption(name: string, text: string): Record<string, string> {
  return text === "" ? {} : { [name]: text };
}

function unreadableBool(name: string, env: Env): string {
  return `[WARN]  consul-api: could not parse ${name}: error="strconv.ParseBool: parsing ` +
    `\\"${env[name]}\\": invalid syntax"`;
}
