// Asks a DNS server over sockets, one question after the other.

import { buildQuery, type CaseQuery, type ParsedReply, parseReply } from "./dns-message.ts";

/** The reply as it came; undefined when the server stays silent or closes the connection. */
export async function askServer(
  host: string,
  port: number,
  query: CaseQuery,
  timeoutMs = 4000,
): Promise<ParsedReply | undefined> {
  const id = Math.floor(Math.random() * 0x10000);
  const message = buildQuery(query, id);
  const exchange = query.transport === "tcp" ? overTcp : overUdp;
  const reply = await exchange(host, port, message, query.silent_ms ?? timeoutMs);
  return reply && parseReply(reply, Date.now() / 1000);
}

export async function overUdp(
  host: string,
  port: number,
  message: Buffer,
  timeoutMs: number,
): Promise<Buffer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  const socket = await Bun.udpSocket({
    connect: { hostname: host, port },
    socket: {
      data: (_, reply) => {
        if (reply.readUInt16BE(0) === message.readUInt16BE(0)) resolve(Buffer.from(reply));
      },
      error: () => resolve(undefined),
    },
  });
  socket.send(message);
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  const reply = await promise;
  clearTimeout(timer);
  socket.close();
  return reply;
}

export async function overTcp(
  host: string,
  port: number,
  message: Buffer,
  timeoutMs: number,
): Promise<Buffer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  let received = Buffer.alloc(0);
  const framed = Buffer.alloc(message.length + 2);
  framed.writeUInt16BE(message.length, 0);
  message.copy(framed, 2);
  const socket = await Bun.connect({
    hostname: host,
    port,
    socket: {
      data: (_, chunk) => {
        received = Buffer.concat([received, chunk]);
        if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
          resolve(received.subarray(2, 2 + received.readUInt16BE(0)));
        }
      },
      close: () => resolve(undefined),
      error: () => resolve(undefined),
    },
  });
  socket.write(framed);
  const timer = setTimeout(() => resolve(undefined), timeoutMs);
  const reply = await promise;
  clearTimeout(timer);
  socket.end();
  return reply;
}
