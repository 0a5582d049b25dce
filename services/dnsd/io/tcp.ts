// DNS over TCP (RFC 7766): messages behind their length, many on a connection, answered as they get
// ready. Bounded in connections, in questions at work and in bytes that wait for a slow reader.

import type { Socket, TCPSocketListener } from "bun";
import type { DnsCounts } from "./counts.ts";

export interface TcpLimits {
  connectionsMax: number;
  /** A connection without a complete question for so long is closed. */
  idleMs: number;
  /** Questions of one connection that wait for something. */
  waitingMax: number;
  queuedBytesMax: number;
}

export const defaultTcpLimits: TcpLimits = {
  connectionsMax: 1024,
  idleMs: 10_000,
  waitingMax: 64,
  queuedBytesMax: 1 << 20,
};

/** Called once per message; undefined: no reply will come. */
export type Reply = (reply: Uint8Array | undefined) => void;

export interface TcpOptions {
  host: string;
  port: number;
  counts: DnsCounts;
  limits?: Partial<TcpLimits>;
  onMessage(message: Uint8Array, address: string, reply: Reply): void;
}

export class TcpListener {
  readonly #options: TcpOptions;
  readonly #limits: TcpLimits;
  readonly #connections = new Set<TcpConnection>();
  readonly #listener: TCPSocketListener<TcpConnection | undefined>;
  readonly #sweep: ReturnType<typeof setInterval>;

  constructor(options: TcpOptions) {
    this.#options = options;
    this.#limits = { ...defaultTcpLimits, ...options.limits };
    const settings = {
      hostname: options.host,
      port: options.port,
      reusePort: true,
      ipv6Only: options.host.includes(":"),
      data: undefined,
      socket: {
        open: (socket: Socket<TcpConnection | undefined>) => this.#open(socket),
        data: (socket: Socket<TcpConnection | undefined>, chunk: Buffer) =>
          socket.data?.received(chunk),
        drain: (socket: Socket<TcpConnection | undefined>) => socket.data?.flush(),
        close: (socket: Socket<TcpConnection | undefined>) => this.#closed(socket),
        error: () => void options.counts.tcpBroken++,
      },
    };
    this.#listener = Bun.listen<TcpConnection | undefined>(settings);
    this.#sweep = setInterval(() => this.#closeIdle(), this.#limits.idleMs / 4);
    this.#sweep.unref();
  }

  get port(): number {
    return this.#listener.port;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  #open(socket: Socket<TcpConnection | undefined>): void {
    if (this.#connections.size >= this.#limits.connectionsMax) {
      this.#options.counts.tcpRefused++;
      socket.terminate();
      return;
    }
    this.#options.counts.tcpConnections++;
    const connection = new TcpConnection(socket, this.#options, this.#limits);
    socket.data = connection;
    this.#connections.add(connection);
  }

  #closed(socket: Socket<TcpConnection | undefined>): void {
    if (socket.data === undefined) return;
    socket.data.isClosed = true;
    this.#connections.delete(socket.data);
  }

  #closeIdle(): void {
    const oldestMs = performance.now() - this.#limits.idleMs;
    for (const connection of this.#connections) {
      if (connection.heardMs > oldestMs || connection.waiting > 0) continue;
      this.#options.counts.tcpTimedOut++;
      connection.close();
    }
  }

  close(): void {
    clearInterval(this.#sweep);
    this.#listener.stop(true);
  }
}

class TcpConnection {
  readonly #socket: Socket<TcpConnection | undefined>;
  readonly #options: TcpOptions;
  readonly #limits: TcpLimits;
  readonly #address: string;
  /** Bytes of a message that is not whole yet. */
  #partial: Buffer | undefined;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #isPaused = false;
  isClosed = false;
  waiting = 0;
  /** When the last whole question came. */
  heardMs = performance.now();

  constructor(
    socket: Socket<TcpConnection | undefined>,
    options: TcpOptions,
    limits: TcpLimits,
  ) {
    this.#socket = socket;
    this.#options = options;
    this.#limits = limits;
    this.#address = socket.remoteAddress;
  }

  received(chunk: Buffer): void {
    const bytes = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk]);
    this.#partial = undefined;
    let at = 0;
    while (!this.isClosed && at + 2 <= bytes.length) {
      const end = at + 2 + bytes.readUInt16BE(at);
      if (end > bytes.length) break;
      if (this.#isFull) break;
      this.#take(bytes.subarray(at + 2, end));
      at = end;
    }
    if (at < bytes.length && !this.isClosed) this.#partial = Buffer.from(bytes.subarray(at));
    this.#adjust();
  }

  get #isFull(): boolean {
    return this.waiting >= this.#limits.waitingMax ||
      this.#queuedBytes >= this.#limits.queuedBytesMax;
  }

  #take(message: Uint8Array): void {
    this.heardMs = performance.now();
    this.waiting++;
    this.#options.onMessage(message, this.#address, (reply) => {
      this.waiting--;
      if (this.isClosed) return;
      if (reply !== undefined) this.#write(reply);
      this.#adjust();
    });
  }

  #write(reply: Uint8Array): void {
    const framed = new Uint8Array(reply.length + 2);
    framed[0] = reply.length >>> 8;
    framed[1] = reply.length;
    framed.set(reply, 2);
    this.#queue.push(framed);
    this.#queuedBytes += framed.length;
    if (this.#queue.length === 1) queueMicrotask(() => this.flush());
  }

  flush(): void {
    while (!this.isClosed && this.#queue.length > 0) {
      const bytes = this.#queue.length === 1 ? this.#queue[0]! : Buffer.concat(this.#queue);
      const written = Math.max(0, this.#socket.write(bytes));
      this.#queuedBytes -= written;
      this.#queue = written === bytes.length ? [] : [bytes.subarray(written)];
      if (written < bytes.length) break;
    }
    this.#adjust();
  }

  /** Reads on only while there is room; what was left over is taken first. */
  #adjust(): void {
    if (this.isClosed || this.#isPaused === this.#isFull) return;
    this.#isPaused = this.#isFull;
    if (this.#isPaused) this.#socket.pause();
    else {
      this.#socket.resume();
      if (this.#partial !== undefined) queueMicrotask(() => this.received(Buffer.alloc(0)));
    }
  }

  close(): void {
    this.isClosed = true;
    this.#socket.end();
  }
}
