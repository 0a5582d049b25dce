// The packet side of a pool's port.
import { createSocket, type Socket } from "node:dgram";
import { formatAddress, parseAddress } from "../core/address.ts";
import type { Endpoint } from "../core/border.ts";
import type { TransportCounts } from "./counts.ts";

/** What the others send in a burst must wait in the kernel while we are busy. */
const receiveBufferBytes = 2 * 1024 * 1024;

export class UdpPort {
  readonly #socket: Socket;
  readonly #isV6: boolean;
  readonly #counts: TransportCounts;
  #isClosed = false;

  private constructor(socket: Socket, isV6: boolean, counts: TransportCounts) {
    this.#socket = socket;
    this.#isV6 = isV6;
    this.#counts = counts;
  }

  static open(
    address: string,
    port: number,
    counts: TransportCounts,
    received: (from: Endpoint, bytes: Uint8Array) => void,
  ): Promise<UdpPort> {
    const isV6 = address.includes(":");
    const socket = createSocket({ type: isV6 ? "udp6" : "udp4" });
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ address, port, exclusive: true }, () => {
        socket.removeListener("error", reject);
        // An ICMP answer to an earlier packet arrives here, or as an exception of a later send.
        socket.on("error", () => counts.sendErrors++);
        socket.on("message", (bytes, info) => {
          counts.packetsIn++;
          counts.bytesIn += bytes.length;
          const from = parseAddress(info.address);
          if (from) received({ address: from, port: info.port }, bytes);
        });
        enlarge(socket);
        resolve(new UdpPort(socket, isV6, counts));
      });
    });
  }

  get port(): number {
    return this.#socket.address().port;
  }

  send(to: Endpoint, bytes: Uint8Array): void {
    if (this.#isClosed || to.port === 0) return;
    const text = formatAddress(to.address);
    const host = this.#isV6 && !text.includes(":") ? `::ffff:${text}` : text;
    if (!this.#isV6 && text.includes(":")) {
      this.#counts.sendErrors++;
      return;
    }
    this.#counts.packetsOut++;
    this.#counts.bytesOut += bytes.length;
    this.#attempt(host, to.port, bytes, true);
  }

  /** An error belongs to whatever was sent before, so this packet is worth one more try. */
  #attempt(host: string, port: number, bytes: Uint8Array, mayRepeat: boolean): void {
    const failed = () => {
      this.#counts.sendErrors++;
      if (!mayRepeat || this.#isClosed) return;
      this.#counts.sendRepeats++;
      this.#attempt(host, port, bytes, false);
    };
    try {
      this.#socket.send(bytes, port, host, (error) => error ? failed() : undefined);
    } catch {
      failed();
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }
}

function enlarge(socket: Socket): void {
  try {
    socket.setRecvBufferSize(receiveBufferBytes);
  } catch {
    // The kernel's own size has to do.
  }
}
