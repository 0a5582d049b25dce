// The stream side of a pool's port: one message each way, then the connection ends.
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { formatAddress, parseAddress } from "../core/address.ts";
import type { Endpoint } from "../core/border.ts";
import { encodeStreamMessage } from "../core/wire/memberlist.ts";
import type { Envelope } from "../core/wire/packet.ts";
import { WireError } from "../core/wire/reader.ts";
import { encodeStream, EncryptionMismatch, StreamReader } from "../core/wire/stream.ts";
import type { TransportCounts } from "./counts.ts";

/** More than that at once are turned away; memberlist does the same with full exchanges. */
const incomingMax = 128;
/** Of all unfinished incoming messages together. */
const incomingBytesMax = 96 * 1024 * 1024;

export interface StreamEvents {
  /** A peer's whole message; answer by `reply` or `close` with this number. */
  received(stream: number, from: Endpoint, message: Uint8Array): void;
  answered(stream: number, message: Uint8Array): void;
  failed(stream: number, reason: string): void;
  refused(from: Endpoint, reason: string): void;
}

export class TcpPort {
  readonly #envelope: Envelope;
  readonly #timeoutMs: number;
  readonly #counts: TransportCounts;
  readonly #events: StreamEvents;
  #server!: Server;
  readonly #incoming = new Map<number, Socket>();
  readonly #outgoing = new Set<Socket>();
  #incomingBytes = 0;
  #lastIncoming = 0;

  constructor(
    envelope: Envelope,
    timeoutMs: number,
    counts: TransportCounts,
    events: StreamEvents,
  ) {
    this.#envelope = envelope;
    this.#timeoutMs = timeoutMs;
    this.#counts = counts;
    this.#events = events;
  }

  listen(address: string, port: number): Promise<number> {
    this.#server = createServer((socket) => this.#accept(socket));
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: address, port, exclusive: true }, () => {
        this.#server.removeListener("error", reject);
        this.#server.on("error", () => this.#counts.streamFailures++);
        resolve((this.#server.address() as { port: number }).port);
      });
    });
  }

  #accept(socket: Socket): void {
    this.#counts.streamsIn++;
    if (this.#incoming.size >= incomingMax) {
      this.#counts.streamsRefused++;
      socket.destroy();
      return;
    }
    const stream = ++this.#lastIncoming;
    const from: Endpoint = {
      address: parseAddress(socket.remoteAddress ?? "") ?? new Uint8Array(4),
      port: socket.remotePort ?? 0,
    };
    this.#incoming.set(stream, socket);
    const reader = new StreamReader(this.#envelope, true);
    let heldBytes = 0;
    let isDone = false;
    const finish = () => {
      isDone = true;
      this.#incomingBytes -= heldBytes;
      heldBytes = 0;
    };
    // From the first byte to the last answer: who sends a byte now and then is not waited for.
    const deadline = setTimeout(() => {
      this.#counts.streamsTimedOut++;
      if (!isDone) this.#events.refused(from, `unfinished after ${this.#timeoutMs} ms`);
      socket.destroy();
    }, this.#timeoutMs);
    socket.on("error", () => this.#counts.streamFailures++);
    socket.on("end", () => {
      if (isDone || heldBytes === 0) return;
      this.#counts.streamFailures++;
      this.#events.refused(from, `ended in the middle of a message, after ${heldBytes} bytes`);
    });
    socket.on("close", () => {
      clearTimeout(deadline);
      finish();
      this.#incoming.delete(stream);
    });
    socket.on("data", (chunk: Uint8Array) => {
      this.#counts.streamBytesIn += chunk.length;
      if (isDone) return;
      heldBytes += chunk.length;
      this.#incomingBytes += chunk.length;
      if (this.#incomingBytes > incomingBytesMax) {
        this.#counts.streamsRefused++;
        socket.destroy();
        return;
      }
      let message: Uint8Array | undefined;
      try {
        message = reader.push(chunk);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        finish();
        this.#refuse(error, from, socket);
        return;
      }
      if (!message) return;
      finish();
      this.#events.received(stream, from, message);
    });
  }

  /** Who has another key cannot read our answer either, but from that it knows why; memberlist does
   *  the same. */
  #refuse(error: WireError, from: Endpoint, socket: Socket): void {
    this.#counts.streamsRefused++;
    this.#events.refused(from, error.message);
    if (!(error instanceof EncryptionMismatch)) {
      socket.destroy();
      return;
    }
    this.#write(socket, encodeStreamMessage({ kind: "err", body: { Error: error.message } }));
    socket.end();
  }

  reply(stream: number, message: Uint8Array): void {
    const socket = this.#incoming.get(stream);
    if (!socket) return;
    this.#write(socket, message);
    socket.end();
  }

  #write(socket: Socket, message: Uint8Array): void {
    const bytes = encodeStream(message, this.#envelope, false);
    this.#counts.streamBytesOut += bytes.length;
    socket.write(bytes);
  }

  close(stream: number): void {
    this.#incoming.get(stream)?.destroy();
  }

  open(stream: number, to: Endpoint, message: Uint8Array, timeoutMs: number): void {
    this.#counts.streamsOut++;
    const reader = new StreamReader(this.#envelope, false);
    const socket = createConnection({ host: formatAddress(to.address), port: to.port });
    this.#outgoing.add(socket);
    let isDone = false;
    const end = (report: () => void) => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      this.#outgoing.delete(socket);
      socket.destroy();
      report();
    };
    const fail = (reason: string) =>
      end(() => {
        this.#counts.streamFailures++;
        this.#events.failed(stream, reason);
      });
    const timer = setTimeout(() => fail("i/o timeout"), timeoutMs);
    socket.on("connect", () => {
      const bytes = encodeStream(message, this.#envelope, true);
      this.#counts.streamBytesOut += bytes.length;
      socket.write(bytes);
    });
    socket.on("data", (chunk: Uint8Array) => {
      if (isDone) return;
      this.#counts.streamBytesIn += chunk.length;
      try {
        const answer = reader.push(chunk);
        if (answer) end(() => this.#events.answered(stream, answer));
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        fail(error.message);
      }
    });
    socket.on("error", (error: NodeJS.ErrnoException) => fail(reasonOf(error)));
    socket.on("close", () => fail("the peer closed the connection"));
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of [...this.#incoming.values(), ...this.#outgoing]) socket.destroy();
    await closed;
  }
}

function reasonOf(error: NodeJS.ErrnoException): string {
  return error.code === "ECONNREFUSED" ? "connection refused" : error.message;
}
