// HTTP check: 2xx passes, 429 warns, everything else is critical (Consul's checks of kind HTTP).

import { type ClientRequest, type IncomingMessage, request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import type { CheckDefinition } from "#shared/config/definitions.ts";
import type { ProbeResult } from "../../core/schedule.ts";
import { dialErrorText } from "./dial-error.ts";
import { TailBuffer } from "./output.ts";
import { critical, type Probe, type ProbeContext, tlsOptions } from "./probe.ts";

const redirectsMax = 10;

interface Step {
  url: URL;
  method: string;
  body: string;
}

export const probeHttp: Probe = async (check, context) => {
  const method = check.method || "GET";
  const run = new HttpRun(check, context);
  const timer = setTimeout(() => run.timeOut(), context.timeoutMs);
  const abort = () => run.abort();
  context.signal.addEventListener("abort", abort);
  try {
    return await run.follow({ url: new URL(check.http), method, body: check.body });
  } catch (error) {
    if (context.signal.aborted) return null;
    return critical(run.errorText(method, error));
  } finally {
    clearTimeout(timer);
    context.signal.removeEventListener("abort", abort);
  }
};

class HttpRun {
  readonly #check: CheckDefinition;
  readonly #context: ProbeContext;
  #request: ClientRequest | undefined;
  #isTimedOut = false;
  #url: URL | undefined;

  constructor(check: CheckDefinition, context: ProbeContext) {
    this.#check = check;
    this.#context = context;
  }

  timeOut(): void {
    this.#isTimedOut = true;
    this.abort();
  }

  abort(): void {
    this.#request?.destroy(new Error("aborted"));
  }

  async follow(first: Step): Promise<ProbeResult> {
    let step = first;
    for (let redirects = 0; redirects <= redirectsMax; redirects++) {
      const response = await this.#send(step);
      const next = this.#check.disableRedirects ? undefined : redirectOf(step, response);
      if (next === undefined) return await this.#judge(response);
      response.destroy();
      step = next;
    }
    throw new Error(`stopped after ${redirectsMax} redirects`);
  }

  errorText(method: string, error: unknown): string {
    const url = this.#url?.href ?? this.#check.http;
    const verb = method.charAt(0) + method.slice(1).toLowerCase();
    const address = this.#url === undefined ? "" : hostPort(this.#url);
    const what = this.#isTimedOut
      ? "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
      : (error as { code?: string }).code !== undefined
      ? dialErrorText("tcp", address, error)
      : (error as Error).message;
    return `${verb} "${url}": ${what}`;
  }

  #send({ url, method, body }: Step): Promise<IncomingMessage> {
    this.#url = url;
    if (url.protocol !== "http:" && url.protocol !== "https:") {
      return Promise.reject(
        new Error(`unsupported protocol scheme "${url.protocol.slice(0, -1)}"`),
      );
    }
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const options = {
      host,
      port: url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port),
      path: url.pathname + url.search,
      method,
      headers: headersOf(this.#check, url, body),
      // No connection is kept: a check must see what a new client would.
      agent: false as const,
      ...(url.protocol === "https:" ? tlsOptions(this.#check, host, this.#context.tls) : {}),
    };
    return new Promise((resolve, reject) => {
      const send = url.protocol === "https:" ? requestTls : requestPlain;
      const request = send(options, resolve);
      this.#request = request;
      request.on("error", reject);
      request.end(body === "" ? undefined : body);
    });
  }

  async #judge(response: IncomingMessage): Promise<ProbeResult> {
    const tail = new TailBuffer(this.#context.outputMax);
    for await (const chunk of response) tail.write(chunk as Uint8Array);
    const code = response.statusCode ?? 0;
    const method = this.#check.method || "GET";
    const line = `${code} ${response.statusMessage ?? ""}`.trimEnd();
    const output = `HTTP ${method} ${this.#check.http}: ${line} Output: ${tail.text()}`;
    const status = code >= 200 && code <= 299 ? "passing" : code === 429 ? "warning" : "critical";
    return { status, output, isFinal: false };
  }
}

function headersOf(check: CheckDefinition, url: URL, body: string) {
  const headers: Record<string, string | string[]> = {
    "Host": url.host,
    "User-Agent": "Consul Health Check",
    "Accept": "text/plain, text/*, */*",
  };
  if (body !== "") headers["Content-Length"] = String(Buffer.byteLength(body));
  if (url.username !== "") {
    const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers["Authorization"] = `Basic ${Buffer.from(login).toString("base64")}`;
  }
  for (const [name, values] of Object.entries(check.header)) {
    const same = Object.keys(headers).find((key) => key.toLowerCase() === name.toLowerCase());
    if (same !== undefined) delete headers[same];
    if (values.length > 0) headers[name] = values.length === 1 ? values[0]! : values;
  }
  return headers;
}

/** Go's client: 301, 302 and 303 become a GET without body, 307 and 308 keep both. */
function redirectOf(step: Step, response: IncomingMessage): Step | undefined {
  const code = response.statusCode ?? 0;
  const location = response.headers.location;
  if (location === undefined || ![301, 302, 303, 307, 308].includes(code)) return undefined;
  const url = new URL(location, step.url);
  const isKept = code >= 307 || step.method === "GET" || step.method === "HEAD";
  return isKept ? { ...step, url } : { url, method: "GET", body: "" };
}

function hostPort(url: URL): string {
  return url.port === "" ? `${url.hostname}:${url.protocol === "https:" ? 443 : 80}` : url.host;
}
