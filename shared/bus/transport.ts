// Byte streams under the bus: Unix sockets and TCP, behind one interface that TLS joins later.
// Bun's own sockets rather than node:net: their write says how much it took, so that the outbox
// alone decides about queues, and a call costs no stream objects.

import type { Socket, TCPSocketListener, UnixSocketListener } from "bun";
import { CuriaError } from "../errors.ts";
import type { Address } from "./types.ts";

/** An open byte stream. */
export interface Wire {
  /** How many bytes were taken, from 0 to length; -1: closed. */
  write(buffer: Uint8Array, offset: number, length: number): number;
  /** Closes at once; `onWireClosed` follows. */
  close(): void;
  pause(): void;
  resume(): void;
  /** "" on a Unix socket, else the other side's IP address. */
  readonly address: string;
  /** Who the other side proved to be; "" where the transport proves nothing. */
  readonly peerIdentity: string;
}

export interface WireHandler {
  onBytes(bytes: Uint8Array): void;
  onDrain(): void;
  onWireClosed(): void;
}

export interface Listener {
  readonly port: number;
  close(): void;
}

export interface Transport {
  listen(address: Address, accept: (wire: Wire) => WireHandler): Listener;
  /** Rejects with `unavailable` when nobody listens there. */
  connect(address: Address, opened: (wire: Wire) => WireHandler): Promise<void>;
  /** Takes new certificates for connections to come. */
  reloadCredentials(): void;
}

interface Attached {
  handler: WireHandler | undefined;
}

class BunWire implements Wire {
  readonly peerIdentity = "";
  readonly #socket: Socket<Attached>;

  constructor(socket: Socket<Attached>) {
    this.#socket = socket;
  }

  get address(): string {
    const address: string | undefined = this.#socket.remoteAddress;
    return address === undefined || address.startsWith("/") ? "" : address;
  }

  write(buffer: Uint8Array, offset: number, length: number): number {
    return this.#socket.write(buffer, offset, length);
  }

  close(): void {
    this.#socket.end();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

const socketEvents = {
  data: (socket: Socket<Attached>, bytes: Uint8Array) => socket.data.handler?.onBytes(bytes),
  drain: (socket: Socket<Attached>) => socket.data.handler?.onDrain(),
  close: (socket: Socket<Attached>) => {
    const { handler } = socket.data;
    socket.data.handler = undefined;
    handler?.onWireClosed();
  },
  // Half-closed connections are of no use to the bus.
  end: (socket: Socket<Attached>) => void socket.end(),
  // A throwing handler must not take the process down through an unhandled error event.
  error: (socket: Socket<Attached>) => void socket.end(),
};

export const plainTransport: Transport = {
  listen(address, accept) {
    const socket = {
      ...socketEvents,
      open(opened: Socket<Attached>) {
        opened.data = { handler: undefined };
        if ("host" in address) opened.setNoDelay(true);
        opened.data.handler = accept(new BunWire(opened));
      },
    };
    const listener: TCPSocketListener<Attached> | UnixSocketListener<Attached> = "path" in address
      ? Bun.listen<Attached>({ unix: address.path, socket })
      : Bun.listen<Attached>({ hostname: address.host, port: address.port, socket });
    return {
      port: "port" in listener ? listener.port : 0,
      close: () => listener.stop(false),
    };
  },

  async connect(address, opened) {
    const socket = {
      ...socketEvents,
      open(open: Socket<Attached>) {
        if ("host" in address) open.setNoDelay(true);
        open.data.handler = opened(new BunWire(open));
      },
      connectError() {},
    };
    const data: Attached = { handler: undefined };
    try {
      if ("path" in address) await Bun.connect<Attached>({ unix: address.path, socket, data });
      else {
        await Bun.connect<Attached>({ hostname: address.host, port: address.port, socket, data });
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new CuriaError("unavailable", `Cannot connect to ${formatAddress(address)}: ${reason}`);
    }
  },

  reloadCredentials() {},
};

export function formatAddress(address: Address): string {
  return "path" in address ? address.path : `${address.host}:${address.port}`;
}
