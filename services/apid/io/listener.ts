// A thin HTTP/1.1 listener on Bun.listen: gives handlers the request target as it was sent, which
// Bun.serve does not (docs/adr/0004-http-listener.md).

import type { Socket, TCPSocketListener, UnixSocketListener } from "bun";
import { HeadMemory } from "../core/http-head.ts";
import { Exchange, type Wire } from "./exchange.ts";
import { allowUsers, type ListenAddress, removeSocket } from "./listen-address.ts";

export interface ListenerOptions {
  address: ListenAddress;
  headerBytesMax: number;
  /** 0: no limit. */
  connectionsPerClientMax: number;
  tls?: Bun.TLSOptions;
  handle(exchange: Exchange): void;
  counts: ListenerCounts;
}

export interface ListenerCounts {
  connections: number;
  connectionsRefused: number;
  requests: number;
  malformed: number;
}

/** A request's head must be complete this long after its first byte. */
const headTimeoutMs = 30_000;
/** Reading stops while this much of a body waits for its reader. */
const unreadBytesMax = 1 << 20;
/** What is left of a body that nobody read is read and dropped up to here, else we hang up. */
const drainBytesMax = 256 << 10;

const heads = new HeadMemory(2_000);

const tooManyText =
  "Your IP is issuing too many concurrent connections, please rate limit your calls\n";
const tooMany = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n" +
  `Content-Length: ${tooManyText.length}\r\nConnection: close\r\n\r\n${tooManyText}`;

export class HttpListener {
  readonly #options: ListenerOptions;
  readonly #connections = new Set<Connection>();
  readonly #perClient = new Map<string, number>();
  readonly #sweep: ReturnType<typeof setInterval>;
  #server: TCPSocketListener<Connection> | UnixSocketListener<Connection> | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#dropSlowHeads(), 5_000);
    this.#sweep.unref();
  }

  start(): void {
    const { address, tls } = this.#options;
    const socket: Bun.SocketHandler<Connection> = {
      open: (socket) => this.#open(socket),
      data: (socket, bytes) => socket.data?.receive(bytes),
      drain: (socket) => socket.data?.drain(),
      end: (socket) => void socket.end(),
      close: (socket) => this.#close(socket.data),
      error: (socket) => void socket.terminate(),
    };
    const secure = tls === undefined ? {} : { tls };
    if ("unix" in address) {
      removeSocket(address.unix);
      this.#server = Bun.listen<Connection>({ unix: address.unix, socket, ...secure });
      return allowUsers(address);
    }
    const shared = { hostname: address.host, port: address.port, reusePort: true };
    this.#server = Bun.listen<Connection>({ ...shared, socket, ...secure });
  }

  /** The port that was bound, for port 0. */
  get port(): number {
    return this.#server !== undefined && "port" in this.#server ? this.#server.port : 0;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Takes no new connections; open requests are answered, idle connections closed. */
  async stop(graceMs: number): Promise<void> {
    clearInterval(this.#sweep);
    this.#server?.stop(false);
    for (const connection of [...this.#connections]) connection.finish();
    const deadlineMs = performance.now() + graceMs;
    while (this.#connections.size > 0 && performance.now() < deadlineMs) await Bun.sleep(10);
    for (const connection of [...this.#connections]) connection.abort();
  }

  #open(socket: Socket<Connection>): void {
    const { counts, connectionsPerClientMax } = this.#options;
    const connection = new Connection(socket, this.#options);
    socket.data = connection;
    counts.connections++;
    this.#connections.add(connection);
    const client = connection.remoteAddress;
    const open = (this.#perClient.get(client) ?? 0) + 1;
    this.#perClient.set(client, open);
    if (connectionsPerClientMax > 0 && open > connectionsPerClientMax && client !== "") {
      counts.connectionsRefused++;
      socket.write(tooMany);
      socket.end();
    }
  }

  #close(connection: Connection | undefined): void {
    if (connection === undefined || !this.#connections.delete(connection)) return;
    const client = connection.remoteAddress;
    const left = (this.#perClient.get(client) ?? 1) - 1;
    if (left === 0) this.#perClient.delete(client);
    else this.#perClient.set(client, left);
    connection.closed();
  }

  #dropSlowHeads(): void {
    const before = performance.now() - headTimeoutMs;
    for (const connection of this.#connections) {
      if (connection.headSinceMs > 0 && connection.headSinceMs < before) connection.abort();
    }
  }
}

/** The bytes that a head may be in, as text; a body behind it is left out as far as possible. */
function headText(bytes: Uint8Array, headerBytesMax: number): string {
  const latin1 = (end: number) => {
    const length = Math.min(end, bytes.length);
    return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("latin1");
  };
  const usual = latin1(usualHeadBytes);
  if (bytes.length <= usualHeadBytes || usual.includes("\r\n\r\n")) return usual;
  return latin1(headerBytesMax + 4);
}

const usualHeadBytes = 4096;

/** One connection: at most one request at a time; what is pipelined waits. */
class Connection implements Wire {
  readonly remoteAddress: string;
  /** When the first byte of a head that is not complete came; 0: none. */
  headSinceMs = 0;
  readonly #socket: Socket<Connection>;
  readonly #options: ListenerOptions;
  /** Bytes that no request has taken yet. */
  #unparsed: Uint8Array | undefined;
  #exchange: Exchange | undefined;
  /** Bytes the socket did not take. */
  #unsent: Uint8Array[] = [];
  #isPaused = false;
  #isEnding = false;
  #isClosed = false;
  #isParsing = false;
  onDrained: (() => void) | undefined;

  constructor(socket: Socket<Connection>, options: ListenerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.remoteAddress = socket.remoteAddress ?? "";
  }

  receive(bytes: Uint8Array): void {
    if (this.#isEnding) return;
    const exchange = this.#exchange;
    if (exchange !== undefined && !exchange.isBodyComplete) {
      const rest = exchange.receive(bytes);
      if (rest === undefined || rest.length === 0) {
        if (exchange.unreadBytes > unreadBytesMax) this.pause();
        return;
      }
      this.#unparsed = rest.slice();
      if (this.#exchange === undefined) this.#parse();
      return;
    }
    this.#unparsed = this.#unparsed === undefined ? bytes : Buffer.concat([this.#unparsed, bytes]);
    if (exchange === undefined) this.#parse();
    else {
      this.#unparsed = this.#unparsed.slice();
      if (this.#unparsed.length > unreadBytesMax) this.pause();
    }
  }

  #parse(): void {
    if (this.#isParsing) return;
    this.#isParsing = true;
    while (this.#unparsed !== undefined && this.#exchange === undefined && !this.#isEnding) {
      const bytes = this.#unparsed;
      const text = headText(bytes, this.#options.headerBytesMax);
      const result = heads.parse(text, this.#options.headerBytesMax);
      if (result.kind === "incomplete") {
        if (this.headSinceMs === 0) this.headSinceMs = performance.now();
        this.#unparsed = bytes.slice();
        break;
      }
      this.headSinceMs = 0;
      if (result.kind === "bad") {
        this.#options.counts.malformed++;
        this.write(
          `HTTP/1.1 ${result.status} ${result.text.slice(4)}\r\nContent-Type: text/plain; ` +
            `charset=utf-8\r\nConnection: close\r\n\r\n${result.text}`,
        );
        this.hangUp();
        break;
      }
      this.#options.counts.requests++;
      const rest = bytes.subarray(result.bytes);
      const exchange = new Exchange(this, result.head);
      this.#exchange = exchange;
      this.#unparsed = rest.length === 0 ? undefined : exchange.receive(rest)?.slice();
      if (this.#unparsed?.length === 0) this.#unparsed = undefined;
      this.#options.handle(exchange);
    }
    this.#isParsing = false;
  }

  /** The exchange is answered. */
  done(exchange: Exchange): void {
    if (this.#exchange !== exchange) return;
    this.#exchange = undefined;
    if (!exchange.keepAlive) return this.hangUp();
    if (!exchange.isBodyComplete) {
      if (exchange.bytesToCome > drainBytesMax) return this.hangUp();
      exchange.discardBody();
      if (!exchange.isBodyComplete) {
        this.#exchange = exchange;
        this.resume();
        return;
      }
    }
    this.resume();
    if (this.#unparsed !== undefined) this.#parse();
  }

  write(data: string | Uint8Array): boolean {
    if (this.#isClosed) return false;
    if (this.#unsent.length > 0) {
      this.#unsent.push(typeof data === "string" ? Buffer.from(data) : data.slice());
      return false;
    }
    const sent = Math.max(0, this.#socket.write(data));
    const length = typeof data === "string" ? Buffer.byteLength(data) : data.length;
    if (sent >= length) return true;
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    this.#unsent.push(bytes.slice(sent));
    return false;
  }

  drain(): void {
    while (this.#unsent.length > 0) {
      const first = this.#unsent[0]!;
      const sent = Math.max(0, this.#socket.write(first));
      if (sent < first.length) {
        this.#unsent[0] = first.subarray(sent);
        return;
      }
      this.#unsent.shift();
    }
    if (this.#isEnding) this.#socket.end();
    this.onDrained?.();
  }

  get isDrained(): boolean {
    return this.#unsent.length === 0;
  }

  pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  hangUp(): void {
    this.#isEnding = true;
    if (this.#unsent.length === 0) this.#socket.end();
  }

  /** Closes as soon as no request is open. */
  finish(): void {
    if (this.#exchange === undefined) this.hangUp();
    else this.#exchange.keepAlive = false;
  }

  abort(): void {
    this.#socket.terminate();
  }

  closed(): void {
    this.#isClosed = true;
    this.#unsent = [];
    this.onDrained?.();
    this.#exchange?.aborted();
    this.#exchange = undefined;
  }
}
