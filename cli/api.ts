// The HTTP client of the command line: where the agent is, with which token and TLS, and errors in
// the words of Consul's own client.

import { readFileSync } from "node:fs";
import { parseGoBool } from "#shared/config/go-flags.ts";
import type { FlagSpec } from "#shared/config/go-flags.ts";
import type { Flags } from "./flags.ts";

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

/** The agent cannot be reached, or answered with an error status (`status` is 0 without answer). */
export class ApiError extends Error {
  override name = "ApiError";
  readonly status: number;
  readonly body: string;

  constructor(message: string, status = 0, body = "") {
    super(message);
    this.status = status;
    this.body = body;
  }
}

export type Query = Record<string, string | readonly string[] | undefined>;

export interface ApiResponse {
  status: number;
  headers: Headers;
  bytes: Uint8Array;
  text: string;
}

export interface ApiCall {
  query?: Query;
  /** An object goes as JSON. */
  body?: unknown;
  /** Statuses to return besides 200. */
  accept?: readonly number[];
  signal?: AbortSignal;
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

/** `open x: no such file or directory` */
export function goOpenError(path: string, error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const cause = code === "ENOENT"
    ? "no such file or directory"
    : code === "EACCES"
    ? "permission denied"
    : code === "EISDIR"
    ? "is a directory"
    : String(code);
  return `${code === "EISDIR" ? "read" : "open"} ${path}: ${cause}`;
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

export class ApiClient {
  readonly settings: ApiSettings;

  constructor(settings: ApiSettings) {
    this.settings = settings;
  }

  /** Throws ApiError for everything but 200 and the accepted statuses. */
  async call(method: string, path: string, options: ApiCall = {}): Promise<ApiResponse> {
    const response = await this.open(method, path, options);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const text = new TextDecoder().decode(bytes);
    const isFine = response.status === 200 || options.accept?.includes(response.status);
    if (!isFine) {
      throw new ApiError(
        `Unexpected response code: ${response.status} (${text})`,
        response.status,
        text,
      );
    }
    return { status: response.status, headers: response.headers, bytes, text };
  }

  async json<Value>(method: string, path: string, options: ApiCall = {}): Promise<Value> {
    return JSON.parse((await this.call(method, path, options)).text) as Value;
  }

  /** The response with its body unread, whatever its status. */
  async open(method: string, path: string, options: ApiCall = {}): Promise<Response> {
    const url = `${this.settings.base}${path}${this.#queryText(options.query ?? {})}`;
    try {
      return await fetch(url, {
        method,
        headers: this.#headers(),
        ...(options.body === undefined ? {} : { body: bodyOf(options.body) }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        ...(this.settings.unixSocket === "" ? {} : { unix: this.settings.unixSocket }),
        tls: this.settings.tls,
        // Blocking queries take minutes; Bun would give up earlier.
        timeout: false,
      } as RequestInit);
    } catch (error) {
      const verb = method[0] + method.slice(1).toLowerCase();
      throw new ApiError(`${verb} "${url}": ${causeOf(error, this.settings)}`);
    }
  }

  #headers(): Record<string, string> {
    const { token, basicAuth } = this.settings;
    return {
      ...(token === "" ? {} : { "X-Consul-Token": token }),
      ...(basicAuth === ""
        ? {}
        : { Authorization: `Basic ${Buffer.from(basicAuth).toString("base64")}` }),
    };
  }

  #queryText(query: Query): string {
    const { datacenter, stale, namespace, partition } = this.settings;
    const all: Query = {
      ...(datacenter === "" ? {} : { dc: datacenter }),
      ...(stale ? { stale: "" } : {}),
      ...(namespace === "" ? {} : { ns: namespace }),
      ...(partition === "" ? {} : { partition }),
      ...query,
    };
    const parts = Object.keys(all).sort().flatMap((name) => {
      const value = all[name];
      const values = value === undefined ? [] : typeof value === "string" ? [value] : value;
      return values.map((text) => `${queryEscape(name)}=${queryEscape(text)}`);
    });
    return parts.length === 0 ? "" : `?${parts.join("&")}`;
  }
}

function bodyOf(body: unknown): string | Uint8Array {
  return typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
}

/** As Go's url.QueryEscape. */
function queryEscape(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, hexEscape).replaceAll("%20", "+");
}

/** One segment of a path; slashes stay. */
export function pathEscape(text: string): string {
  return encodeURIComponent(text).replaceAll("%2F", "/").replace(/[!'()*]/g, hexEscape);
}

function hexEscape(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
}

function causeOf(error: unknown, settings: ApiSettings): string {
  const { code, message } = error as { code?: string; message: string };
  const place = settings.unixSocket === ""
    ? `tcp ${settings.base.replace(/^https?:\/\//, "").replace(/\/.*$/, "")}`
    : `unix ${settings.unixSocket}`;
  switch (code) {
    case "ConnectionRefused":
    case "ECONNREFUSED":
      return `dial ${place}: connect: connection refused`;
    case "ENOENT":
    case "FailedToOpenSocket":
      return `dial ${place}: connect: no such file or directory`;
    case "ConnectionClosed":
    case "ECONNRESET":
      return "EOF";
    default:
      return message;
  }
}
