// From a request on a connection to its answer: the gates that every request passes, the routes
// (Hono), hot reads in front of them, and what every answer carries.

import { Hono } from "hono";
import { type Answer, emptyAnswer, textAnswer, textType } from "../core/answer.ts";
import { toRefusal } from "../core/http-error.ts";
import { isPrintable, parseTarget } from "../core/path.ts";
import { checkEnterprise } from "../core/params.ts";
import { parseQueryString, type QueryString, QueryStringError } from "../core/query-string.ts";
import { AddressRange } from "../core/address-range.ts";
import { Call, type Route, written } from "./call.ts";
import type { Exchange } from "./exchange.ts";
import type { HotReads } from "./reads/hot-reads.ts";
import { gzipBytesMin } from "./reads/entry.ts";
import { zip } from "./zip.ts";

export interface ServerOptions {
  routes: readonly Route[];
  hot: HotReads;
  /** `http_config.response_headers`, on every answer. */
  responseHeaders: Readonly<Record<string, string>>;
  blockEndpoints: readonly string[];
  allowWriteFrom: readonly string[];
  defaultPolicy: string;
  translatesAddresses: boolean;
  isDev: boolean;
  checksPrintable: boolean;
  /** What is served outside /v1/: the UI. */
  fallback(path: string, exchange: Exchange): Answer | Promise<Answer> | undefined;
  onAnswered(status: number, seconds: number): void;
  onFailed(error: unknown, call: { method: string; path: string }): void;
}

interface Incoming {
  exchange: Exchange;
  path: string;
  bytes: Buffer | undefined;
  query: string;
  startedMs: number;
}

type Bindings = { Bindings: { incoming: Incoming } };

/** Hono routes by what `getPath` says, so one request object stands for all. */
const anyRequest = new Request("http://curia/");

export class ApiServer {
  readonly #options: ServerOptions;
  readonly #app: Hono<Bindings>;
  readonly #answers = new WeakMap<Response, Answer | typeof written>();
  readonly #direct: readonly Route[];
  readonly #writers: AddressRange[];
  /** Header lines of every answer, and of those under /v1/. */
  readonly #plainLines: string;
  readonly #apiLines: string;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#writers = options.allowWriteFrom.map((range) => new AddressRange(range));
    this.#plainLines = Object.entries(options.responseHeaders)
      .map(([name, value]) => `${name}: ${value}\r\n`).join("");
    this.#apiLines = `${this.#plainLines}Vary: Accept-Encoding\r\n` +
      (options.defaultPolicy === ""
        ? ""
        : `X-Consul-Default-Acl-Policy: ${options.defaultPolicy}\r\n`) +
      (options.translatesAddresses ? "X-Consul-Translate-Addresses: true\r\n" : "");
    this.#direct = options.routes.filter((route) => route.isHot === true);
    this.#app = this.#build(options.routes);
  }

  handle(exchange: Exchange): void {
    if (exchange.method === "GET" && this.#options.hot.serve(exchange, this.#apiLines, this)) {
      return;
    }
    this.handleCold(exchange);
  }

  /** The way of every request that is not answered from kept bytes. */
  handleCold(exchange: Exchange): void {
    const target = parseTarget(exchange.target);
    switch (target.kind) {
      case "bad":
        return exchange.answer(
          400,
          "Content-Type: text/plain; charset=utf-8\r\n",
          "400 Bad Request",
        );
      case "redirect":
        return this.#redirect(exchange, target.location);
    }
    if (this.#options.checksPrintable && !isPrintable(target.path)) {
      return exchange.answer(400, this.#plainLines, "");
    }
    const { path, bytes, query } = target;
    const incoming: Incoming = { exchange, path, bytes, query, startedMs: performance.now() };
    for (const route of this.#direct) {
      if (path.startsWith(route.path)) return this.#settle(incoming, route);
    }
    void this.#viaHono(incoming);
  }

  #settle(incoming: Incoming, route: Route): void {
    let answer: ReturnType<ApiServer["dispatch"]>;
    try {
      answer = this.dispatch(route, incoming);
    } catch (error) {
      return this.#send(incoming, this.#refuse(error, incoming));
    }
    if (!(answer instanceof Promise)) return this.#send(incoming, answer);
    answer.then(
      (settled) => this.#send(incoming, settled),
      (error) => this.#send(incoming, this.#refuse(error, incoming)),
    );
  }

  async #viaHono(incoming: Incoming): Promise<void> {
    const response = await this.#app.fetch(anyRequest, { incoming });
    const answer = this.#answers.get(response) ?? await fromResponse(response);
    this.#send(incoming, answer);
  }

  // ---- routes

  #build(routes: readonly Route[]): Hono<Bindings> {
    const app = new Hono<Bindings>({
      getPath: (_request, context) => (context?.env as Bindings["Bindings"]).incoming.path,
    });
    const exact = new Set(routes.map(({ path }) => path));
    // Hono's wildcard also takes the path without its slash: exact paths come first.
    const isExact = (route: Route) => Number(!route.path.endsWith("/"));
    const longestFirst = [...routes].sort((a, b) =>
      isExact(b) - isExact(a) || b.path.length - a.path.length
    );
    for (const route of longestFirst) {
      const isPrefix = route.path.endsWith("/");
      if (isPrefix && !exact.has(route.path.slice(0, -1))) {
        app.all(
          route.path.slice(0, -1),
          ({ env }) =>
            this.#respond(redirectAnswer(withQuery(route.path, env.incoming.query), env.incoming)),
        );
      }
      app.all(
        isPrefix ? `${route.path}*` : route.path,
        async ({ env }) => this.#respond(await this.dispatch(route, env.incoming)),
      );
    }
    app.notFound(async ({ env }) => this.#respond(await this.#nothingHere(env.incoming)));
    app.onError((error, { env }) => this.#respond(this.#refuse(error, env.incoming)));
    return app;
  }

  #respond(answer: Answer | typeof written): Response {
    const response = new Response(null);
    this.#answers.set(response, answer);
    return response;
  }

  dispatch(route: Route, incoming: Incoming) {
    const { exchange, path, bytes } = incoming;
    const { method } = exchange;
    const gate = this.#gate(path, exchange);
    if (gate !== undefined) return gate;
    const handler = route.methods[method];
    if (handler === undefined && route.hasOwnMethods !== true) {
      return this.#otherMethod(route, method);
    }
    const query = this.#parseQuery(incoming);
    if (query === undefined) return textAnswer(500, "");
    checkEnterprise(route.enterprise, query, exchange);
    const call = new Call(exchange, path, bytes, route, query, this.#options.isDev);
    return (handler ?? route.methods["*"]!)(call);
  }

  #gate(path: string, exchange: Exchange): Answer | undefined {
    const { blockEndpoints } = this.#options;
    if (blockEndpoints.some((prefix) => path.startsWith(prefix))) {
      return textAnswer(403, "Endpoint is blocked by agent configuration");
    }
    if (this.#writers.length === 0 || /^(GET|HEAD|OPTIONS)$/.test(exchange.method)) {
      return undefined;
    }
    const isAllowed = this.#writers.some((range) => range.contains(exchange.remoteAddress));
    return isAllowed ? undefined : textAnswer(403, "Access is restricted");
  }

  #otherMethod(route: Route, method: string): Answer {
    const allow = `Allow: OPTIONS,${Object.keys(route.methods).join(",")}\r\n`;
    return method === "OPTIONS"
      ? textAnswer(200, "", allow)
      : textAnswer(405, `method ${method} not allowed`, allow);
  }

  #parseQuery(incoming: Incoming): QueryString | undefined {
    try {
      return parseQueryString(incoming.query);
    } catch (error) {
      if (error instanceof QueryStringError) return undefined;
      throw error;
    }
  }

  async #nothingHere({ path, exchange }: Incoming): Promise<Answer> {
    const gate = this.#gate(path, exchange);
    if (gate !== undefined) return gate;
    const found = await this.#options.fallback(path, exchange);
    if (found !== undefined) return found;
    return textAnswer(
      404,
      path.includes("/v1/")
        ? "Invalid URL path: not a recognized HTTP API endpoint\n"
        : "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n",
    );
  }

  #redirect(exchange: Exchange, location: string): void {
    const startedMs = performance.now();
    const incoming = { exchange, path: exchange.target, bytes: undefined, query: "", startedMs };
    this.#send(incoming, redirectAnswer(location, incoming));
  }

  #refuse(error: unknown, incoming: Incoming): Answer {
    const { exchange, path } = incoming;
    const { status, text, headers } = toRefusal(error);
    if (status >= 500) this.#options.onFailed(error, { method: exchange.method, path });
    return textAnswer(status, text, headers);
  }

  // ---- answers

  #send(incoming: Incoming, answer: Answer | typeof written): void {
    const { exchange, path } = incoming;
    if (answer === written) return;
    const isApi = path.startsWith("/v1/") || path.startsWith("/debug/");
    const common = isApi ? this.#apiLines : this.#plainLines;
    this.#options.onAnswered(answer.status, (performance.now() - incoming.startedMs) / 1000);
    const { body } = answer;
    const isZipped = body.length >= gzipBytesMin && isApi && acceptsGzip(exchange);
    if (answer.whole !== undefined && exchange.takesWhole && exchange.method === "GET") {
      return exchange.answerWhole(answer.whole(common, isZipped));
    }
    const type = answer.contentType === "" ? "" : `Content-Type: ${answer.contentType}\r\n`;
    const lines = type + common + answer.headers;
    if (!isZipped) return exchange.answer(answer.status, lines, body);
    const send = (bytes: Uint8Array) =>
      exchange.answer(answer.status, `Content-Encoding: gzip\r\n${lines}`, bytes);
    const zipped = zip(body);
    if (!(zipped instanceof Promise)) return send(zipped);
    zipped.then(send, () => exchange.answer(answer.status, lines, body));
  }

  /** Header lines that a handler which writes its own answer begins with. */
  get apiLines(): string {
    return this.#apiLines;
  }
}

function withQuery(path: string, query: string): string {
  return query === "" ? path : `${path}?${query}`;
}

function redirectAnswer(location: string, incoming: Incoming): Answer {
  const { method } = incoming.exchange;
  const isShown = method === "GET" || method === "HEAD";
  const escaped = location.replace(/[<>&"']/g, (char) => `&#${char.charCodeAt(0)};`);
  return {
    status: 307,
    contentType: isShown ? "text/html; charset=utf-8" : "",
    headers: `Location: ${location}\r\n`,
    body: isShown ? `<a href="${escaped}">Temporary Redirect</a>.\n\n` : "",
  };
}

export function acceptsGzip(exchange: Exchange): boolean {
  const accepted = exchange.header("accept-encoding");
  if (accepted === undefined) return false;
  return accepted.split(",").some((item) => {
    const [name, ...parameters] = item.trim().toLowerCase().split(";");
    if (name !== "gzip" && name !== "*") return false;
    return !parameters.some((parameter) => /^\s*q=0(\.0*)?\s*$/.test(parameter));
  });
}

/** What a middleware answered with a plain Response. */
async function fromResponse(response: Response): Promise<Answer> {
  let headers = "";
  response.headers.forEach((value, name) => {
    if (name !== "content-type") headers += `${name}: ${value}\r\n`;
  });
  return {
    ...emptyAnswer,
    status: response.status,
    contentType: response.headers.get("content-type") ?? textType,
    headers,
    body: new Uint8Array(await response.arrayBuffer()),
  };
}
