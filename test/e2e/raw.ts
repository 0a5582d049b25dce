// Bytes as they are to a port or socket, for what no well-behaved client would send.

import { createSocket } from "node:dgram";
import { createConnection, type NetConnectOpts } from "node:net";

/** Sends the bytes and gives what came back until the other side hung up, as Latin-1. With
 *  `hangUp`, this side ends its half after the bytes. */
export function talk(
  to: NetConnectOpts,
  bytes: Uint8Array | string,
  hangUp = false,
): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection(to);
    const chunks: Uint8Array[] = [];
    const end = () => {
      socket.destroy();
      resolve(Buffer.concat(chunks).toString("latin1"));
    };
    socket.on("connect", () => {
      if (hangUp) socket.end(bytes);
      else socket.write(bytes);
    });
    socket.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    socket.on("close", end);
    // A reset is a way of hanging up; what was read before it counts.
    socket.on("error", end);
  });
}

/** Sends datagrams from a port of its own, which is closed when they have left. */
export async function throwAt(address: string, port: number, packets: Uint8Array[]): Promise<void> {
  const socket = createSocket("udp4");
  // An ICMP error of an earlier packet is the receiver's affair.
  socket.on("error", () => {});
  for (const packet of packets) {
    await new Promise<void>((resolve) => socket.send(packet, port, address, () => resolve()));
  }
  socket.close();
}

/** A 4-byte big-endian length, then the bytes; the length may lie. */
export function frame(bytes: Uint8Array, length = bytes.length): Uint8Array {
  const framed = Buffer.alloc(4 + bytes.length);
  framed.writeUInt32BE(length);
  framed.set(bytes, 4);
  return framed;
}
