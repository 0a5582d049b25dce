// One request and its answer on a connection.

import { ChunkedDecoder, headerOf, headersOf, type RequestHead } from "../core/http-head.ts";
import { AnswerStream, type StreamWire } from "./answer-stream.ts";
import { dateLine } from "./date-line.ts";

/** What an exchange needs of its connection. */
export interface Wire extends StreamWire {
  readonly remoteAddress: string;
  pause(): void;
  resume(): void;
  done(exchange: Exchange): void;
}

export class BodyTooLarge extends Error {
  override name = "BodyTooLarge";
}

const reasons: Record<number, string> = {
  200: "OK",
  301: "Moved Permanently",
  307: "Temporary Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  409: "Conflict",
  413: "Request Entity Too Large",
  415: "Unsupported Media Type",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
};
const continueLine = "HTTP/1.1 100 Continue\r\n\r\n";

export function statusLine(status: number): string {
  return `HTTP/1.1 ${status} ${reasons[status] ?? "Unknown"}\r\n`;
}

export class Exchange {
  readonly head: RequestHead;
  keepAlive: boolean;
  isBodyComplete: boolean;
  isAborted = false;
  readonly #wire: Wire;
  #chunked: ChunkedDecoder | undefined;
  /** Bytes of a body of known length that did not arrive yet. */
  #toCome: number;
  #parts: Uint8Array[] = [];
  #unread = 0;
  #isDiscarding = false;
  #isAnswered = false;
  #hasAskedForBody = false;
  #onBody: (() => void) | undefined;
  #onAbort: (() => void) | undefined;
  #bodyError: Error | undefined;

  constructor(wire: Wire, head: RequestHead) {
    this.#wire = wire;
    this.head = head;
    this.keepAlive = head.keepAlive;
    this.#toCome = Math.max(0, head.contentLength);
    if (head.contentLength === -1) this.#chunked = new ChunkedDecoder();
    this.isBodyComplete = head.contentLength === 0;
  }

  get method(): string {
    return this.head.method;
  }

  get target(): string {
    return this.head.target;
  }

  get remoteAddress(): string {
    return this.#wire.remoteAddress;
  }

  /** First header of this lower-case name. */
  header(name: string): string | undefined {
    return headerOf(this.head.lines, this.head.lower, name);
  }

  headers(name: string): string[] {
    return headersOf(this.head.lines, this.head.lower, name);
  }

  get hasConsulHeaders(): boolean {
    return this.head.lower.includes("\r\nx-consul-");
  }

  // ---- the body, as the connection delivers it

  /** Takes bytes of the body; gives back what lies beyond its end. */
  receive(bytes: Uint8Array): Uint8Array | undefined {
    if (this.isBodyComplete) return bytes;
    if (this.#chunked === undefined) {
      const take = Math.min(this.#toCome, bytes.length);
      this.#toCome -= take;
      this.#keep(bytes.subarray(0, take));
      if (this.#toCome === 0) this.#complete();
      return bytes.subarray(take);
    }
    try {
      const rest = this.#chunked.push(bytes, (part) => this.#keep(part));
      if (rest !== undefined) this.#complete();
      else this.#onBody?.();
      return rest;
    } catch (error) {
      this.keepAlive = false;
      this.#bodyError = error as Error;
      this.#complete();
      return undefined;
    }
  }

  #keep(part: Uint8Array): void {
    if (this.#isDiscarding || part.length === 0) return;
    this.#parts.push(part.slice());
    this.#unread += part.length;
    if (this.#chunked === undefined) this.#onBody?.();
  }

  #complete(): void {
    this.isBodyComplete = true;
    this.#onBody?.();
    if (this.#isAnswered) this.#wire.done(this);
  }

  get unreadBytes(): number {
    return this.#isDiscarding ? 0 : this.#unread;
  }

  get bytesToCome(): number {
    return this.#chunked === undefined ? this.#toCome : 0;
  }

  discardBody(): void {
    this.#isDiscarding = true;
    this.#parts = [];
    this.#unread = 0;
  }

  /** The whole body. Throws BodyTooLarge as soon as more than `bytesMax` have come. */
  async body(bytesMax: number): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of this.bodyParts()) {
      bytes += part.length;
      if (bytes > bytesMax) throw new BodyTooLarge();
      parts.push(part);
    }
    return parts.length === 1 ? Buffer.from(parts[0]!) : Buffer.concat(parts);
  }

  /** The whole body when it has arrived, without waiting. */
  bodyNow(): Buffer | undefined {
    if (!this.isBodyComplete || this.#bodyError !== undefined) return undefined;
    const parts = this.#parts;
    this.#parts = [];
    return parts.length === 1 ? parts[0] as Buffer : Buffer.concat(parts);
  }

  async *bodyParts(): AsyncGenerator<Uint8Array> {
    if (!this.#hasAskedForBody && this.head.expectsContinue && !this.isBodyComplete) {
      this.#wire.write(continueLine);
    }
    this.#hasAskedForBody = true;
    for (;;) {
      const parts = this.#parts;
      this.#parts = [];
      this.#unread = 0;
      yield* parts;
      if (this.#bodyError !== undefined) throw this.#bodyError;
      if (this.isBodyComplete && this.#parts.length === 0) return;
      if (this.isAborted) throw new Error("client closed the connection");
      if (this.#parts.length > 0) continue;
      this.#wire.resume();
      await new Promise<void>((resolve) => this.#onBody = resolve);
      this.#onBody = undefined;
    }
  }

  // ---- the answer

  /** `headers`: lines, each ended by CRLF, without Date, Content-Length and Connection. */
  answer(status: number, headers: string, body: string | Uint8Array): void {
    if (this.#isAnswered || this.isAborted) return;
    const length = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    this.#checkUnreadBody();
    const head = `${statusLine(status)}${headers}${dateLine()}Content-Length: ${length}\r\n` +
      (this.keepAlive
        ? this.head.minor === 0 ? "Connection: keep-alive\r\n\r\n" : "\r\n"
        : "Connection: close\r\n\r\n");
    if (this.method === "HEAD" || length === 0) this.#wire.write(head);
    else if (typeof body === "string") this.#wire.write(head + body);
    else if (body.length < 16_384) this.#wire.write(Buffer.concat([Buffer.from(head), body]));
    else {
      this.#wire.write(head);
      this.#wire.write(body);
    }
    this.#finish();
  }

  /** A whole answer made before, for a request that keeps its connection. */
  answerWhole(bytes: Uint8Array): void {
    if (this.#isAnswered || this.isAborted) return;
    this.#wire.write(bytes);
    this.#finish();
  }

  /** True when a prepared answer without a Connection header fits. */
  get takesWhole(): boolean {
    return this.keepAlive && this.head.minor === 1 && this.isBodyComplete;
  }

  /** An answer of unknown length; `write` waits while the client is slow. */
  startStream(status: number, headers: string): AnswerStream {
    const isChunked = this.head.minor === 1;
    if (!isChunked) this.keepAlive = false;
    this.#wire.write(
      statusLine(status) + headers + dateLine() +
        (isChunked ? "Transfer-Encoding: chunked\r\n" : "") +
        (this.keepAlive ? "\r\n" : "Connection: close\r\n\r\n"),
    );
    return new AnswerStream(() => this.isAborted, this.#wire, isChunked, () => this.#finish());
  }

  #checkUnreadBody(): void {
    // A client that still waits for "100 Continue" may never send its body.
    if (!this.isBodyComplete && this.head.expectsContinue && !this.#hasAskedForBody) {
      this.keepAlive = false;
    }
  }

  #finish(): void {
    this.#isAnswered = true;
    this.#onAbort = undefined;
    this.#wire.done(this);
  }

  /** Called once when the client goes away before it was answered. */
  onAbort(listener: () => void): void {
    if (this.isAborted) listener();
    else {
      const before = this.#onAbort;
      this.#onAbort = before === undefined ? listener : () => {
        before();
        listener();
      };
    }
  }

  aborted(): void {
    this.isAborted = true;
    this.#onAbort?.();
    this.#onAbort = undefined;
    this.#onBody?.();
  }
}
