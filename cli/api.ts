// The HTTP client of the command line, with errors in the words of Consul's own client.

import type { ApiSettings } from "./api-settings.ts";

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
        `Unexpected response code: ${response.status} (${text.trim()})`,
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
