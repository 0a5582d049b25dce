// One request as its handler sees it, and the rows of the route table.

import type { Answer } from "../core/answer.ts";
import { jsonAnswer, textAnswer } from "../core/answer.ts";
import { HttpError } from "../core/http-error.ts";
import { decode, DecodeError, type Fields, type Schema } from "../core/json-schema.ts";
import { JsonSyntaxError } from "../core/json-reader.ts";
import { indentJson, type Json, writeJson } from "../core/json-writer.ts";
import type { EnterpriseCheck } from "../core/params.ts";
import type { QueryString } from "../core/query-string.ts";
import { BodyTooLarge, type Exchange } from "./exchange.ts";

/** What a handler gives back when it has written its answer to the exchange itself. */
export const written = Symbol("written");

export type Handler = (call: Call) => Answer | typeof written | Promise<Answer | typeof written>;

/** A row of the table: what is served at a path. */
export interface Route {
  /** A path that ends in a slash takes everything below it as its argument. */
  path: string;
  methods: Readonly<Record<string, Handler>>;
  /** What it needs of ACLs: resource and level, "filtered", or "none". */
  acl: string;
  enterprise: EnterpriseCheck;
  /** Asked before all others, without going through the router. */
  isHot?: boolean;
  /** It judges methods by the rest of the path. */
  hasOwnMethods?: boolean;
}

/** Header lines that every answer under /v1/ carries. */
export type ApiLines = () => string;

/** A JSON body is at most this long, where the endpoint has no limit of its own. */
const jsonBytesMax = 32 << 20;

export class Call {
  readonly exchange: Exchange;
  /** Decoded. */
  readonly path: string;
  /** What follows the route's path. */
  readonly rest: string;
  /** The bytes of `rest`. */
  readonly restBytes: Buffer;
  readonly query: QueryString;
  /** -dev: JSON is laid out for reading even without `?pretty`. */
  readonly isPrettyAlways: boolean;

  constructor(
    exchange: Exchange,
    path: string,
    pathBytes: Buffer | undefined,
    route: Route,
    query: QueryString,
    isPrettyAlways: boolean,
  ) {
    this.exchange = exchange;
    this.path = path;
    this.rest = path.slice(route.path.length);
    this.restBytes = pathBytes === undefined
      ? Buffer.from(this.rest)
      : pathBytes.subarray(Buffer.byteLength(route.path));
    this.query = query;
    this.isPrettyAlways = isPrettyAlways;
  }

  get method(): string {
    return this.exchange.method;
  }

  header(name: string): string | undefined {
    return this.exchange.header(name);
  }

  /** Part of the key of reads that render the same thing differently. */
  get layout(): string {
    return this.query.has("pretty") ? "p" : this.isPrettyAlways ? "d" : "";
  }

  /** A 200 with JSON. */
  json(value: Json, headers = ""): Answer {
    return jsonAnswer(this.jsonText(writeJson(value)), headers);
  }

  /** JSON is laid out for reading. */
  get laysOut(): boolean {
    return this.isPrettyAlways || this.query.has("pretty");
  }

  /** JSON text in the layout that was asked for. */
  jsonText(compact: string): string {
    if (this.query.has("pretty")) return indentJson(compact) + "\n";
    return this.isPrettyAlways ? indentJson(compact) : compact;
  }

  async bodyText(bytesMax = jsonBytesMax): Promise<string> {
    const now = this.exchange.bodyNow();
    if (now !== undefined && now.length <= bytesMax) return now.toString("utf8");
    try {
      return (await this.exchange.body(bytesMax)).toString("utf8");
    } catch (error) {
      if (!(error instanceof BodyTooLarge)) throw error;
      throw new HttpError(413, `Request body too large, max size: ${bytesMax} bytes.`);
    }
  }

  /** The body by a schema; what is wrong with it is a 400 that begins with `prefix`. */
  async jsonBody<T = Fields>(schema: Schema, prefix = "Request decode failed: "): Promise<T> {
    const body = await this.bodyText();
    return decoding(prefix, () => decode<T>(body, schema));
  }
}

export function decoding<T>(prefix: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof DecodeError || error instanceof JsonSyntaxError) {
      throw new HttpError(400, prefix + error.message);
    }
    throw error;
  }
}

/** Unknown enterprise fields are explained where Consul does. */
export async function rewordEnterprise<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof HttpError && /unknown field "Namespace"$/.test(error.message)) {
      throw new HttpError(
        error.status,
        `${error.message} - Namespaces are a Consul Enterprise feature`,
      );
    }
    throw error;
  }
}

/** A route of Consul's that is still to come. */
export function later(what: string): Handler {
  return (call) =>
    textAnswer(
      501,
      `${call.method} ${call.path}: ${what} is not served yet by this release of Curia`,
    );
}
