// The UDP socket. Several processes may share its port (SO_REUSEPORT). Replies of one turn of the
// event loop leave in one system call.

import type { udp } from "bun";
import type { DnsCounts } from "./counts.ts";

export interface UdpOptions {
  host: string;
  port: number;
  counts: DnsCounts;
  onMessage(message: Uint8Array, port: number, address: string): void;
}

/** Replies that may wait for the socket, as three items each. */
const queuedItemsMax = 3 * 32_768;

// Bun.udpSocket takes these flags, as its own node:dgram gives them, though its types do not say so.
// node:dgram itself answers half as many questions: a name lookup and an event per datagram.
const flagReusePort = 4;
const flagIpv6Only = 8;
const flagMustShare = 32;

type Item = Uint8Array | number | string;

export class UdpListener {
  readonly #counts: DnsCounts;
  readonly #socket: udp.Socket<"buffer">;
  #queue: Item[] = [];
  #isFlushSet = false;
  #isBlocked = false;
  #isClosed = false;

  static async open(options: UdpOptions): Promise<UdpListener> {
    // deno-lint-ignore prefer-const -- the socket calls back before there is a listener
    let listener: UdpListener | undefined;
    const flags = flagReusePort | flagMustShare | (options.host.includes(":") ? flagIpv6Only : 0);
    const settings = {
      hostname: options.host,
      port: options.port,
      flags,
      socket: {
        data: (_: unknown, message: Buffer, port: number, address: string) =>
          options.onMessage(message, port, address),
        drain: () => listener?.drained(),
        // What ICMP says of an earlier reply: the client is gone, which concerns no other.
        error: () => void options.counts.sendErrors++,
      },
    };
    const socket = await Bun.udpSocket(settings as udp.SocketOptions<"buffer">);
    listener = new UdpListener(socket, options.counts);
    return listener;
  }

  private constructor(socket: udp.Socket<"buffer">, counts: DnsCounts) {
    this.#socket = socket;
    this.#counts = counts;
  }

  get port(): number {
    return this.#socket.port;
  }

  /** The bytes must stay as they are until they have left. */
  send(reply: Uint8Array, port: number, address: string): void {
    if (this.#queue.length >= queuedItemsMax) {
      this.#counts.unsent++;
      return;
    }
    this.#queue.push(reply, port, address);
    if (this.#isFlushSet || this.#isBlocked) return;
    this.#isFlushSet = true;
    setImmediate(this.#flush);
  }

  drained(): void {
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    this.#flush();
  }

  readonly #flush = (): void => {
    this.#isFlushSet = false;
    if (this.#isClosed || this.#isBlocked) return;
    let items = this.#queue;
    this.#queue = [];
    while (items.length > 0) {
      const sent = this.#sendMany(items);
      if (sent === items.length / 3) return;
      items = items.slice(3 * sent);
      if (sent > 0) continue;
      // The kernel takes no more: the rest goes when it does.
      this.#isBlocked = true;
      this.#queue = items.concat(this.#queue);
      return;
    }
  };

  /** How many left. ICMP's word on an earlier reply can end a call early: the rest is sent again. */
  #sendMany(items: Item[]): number {
    for (let attempt = 0; attempt <= items.length / 3; attempt++) {
      try {
        const sent = this.#socket.sendMany(items);
        if (sent < items.length / 3) this.#counts.sendErrors++;
        return sent;
      } catch {
        this.#counts.sendErrors++;
      }
    }
    // The first one itself cannot be sent, e.g. no route leads there: only it is given up.
    this.#counts.unsent++;
    return 1;
  }

  close(): void {
    this.#flush();
    this.#isClosed = true;
    this.#socket.close();
  }
}
