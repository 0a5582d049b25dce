import { afterEach, expect, test } from "bun:test";
import { decode } from "dns-packet";
import fc from "fast-check";
import { Random } from "#shared/random.ts";
import { Catalog } from "../core/catalog.ts";
import type { Fetched } from "../core/catalog-view.ts";
import { Responder } from "../core/responder.ts";
import { defaultDnsSettings, type DnsSettings } from "../core/settings.ts";
import { nodeRow, serviceRow } from "../core/test-rows.ts";
import { encodeQuestion } from "../core/wire/upstream.ts";
import { DnsServer, type DnsServerOptions } from "./server.ts";

const host = "127.0.0.1";
const servers: DnsServer[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function serve(
  more: Partial<DnsServerOptions> & { settings?: Partial<DnsSettings>; port?: number } = {},
): Promise<{ server: DnsServer; port: number }> {
  const catalog = new Catalog();
  for (let i = 1; i <= 10; i++) {
    catalog.setNode(nodeRow(`n${i}`, `10.0.0.${i}`));
    catalog.setService(serviceRow(`n${i}`, "web"));
  }
  const random = new Random(3);
  const contact = { complete: true, silentMs: 0, knownLeader: true, lastContactMs: 0 };
  const settings = { ...defaultDnsSettings, ...more.settings };
  const server = new DnsServer({
    responder: new Responder(settings, catalog, contact, random),
    random,
    recursors: { addresses: [], strategy: "sequential", timeoutMs: 200 },
    fetch: async () => ({ kind: "failed", code: "unavailable" }),
    ...more,
  });
  servers.push(server);
  return { server, port: await server.listen(host, more.port ?? 0) };
}

function question(id: number, name = "web.service.consul."): Uint8Array {
  return encodeQuestion(id, name, 1)!;
}

/** Sends datagrams and resolves with the first so many replies. */
async function exchange(port: number, messages: Uint8Array[], count: number): Promise<Buffer[]> {
  const replies: Buffer[] = [];
  const done = Promise.withResolvers<void>();
  const socket = await Bun.udpSocket({
    connect: { hostname: host, port },
    socket: {
      data: (_, reply) => {
        replies.push(Buffer.from(reply));
        if (replies.length === count) done.resolve();
      },
    },
  });
  for (const message of messages) socket.send(message);
  await done.promise;
  socket.close();
  return replies;
}

test("200 clients that close their sockets mid-answer harm nobody else's answer", async () => {
  const { server, port } = await serve();
  const leaving = await Promise.all(
    Array.from({ length: 200 }, () => Bun.udpSocket({ connect: { hostname: host, port } })),
  );
  const messages = Array.from({ length: 20 }, (_, id) => question(id));
  const ids = messages.map((_, id) => id);
  // Few enough at a time for the kernel's buffer: what it drops is nobody's fault here.
  for (let at = 0; at < leaving.length; at += 20) {
    for (const socket of leaving.slice(at, at + 20)) {
      for (let i = 0; i < 5; i++) socket.send(question(i));
      socket.close();
    }
    const replies = await exchange(port, messages, messages.length);
    expect(replies.map((reply) => reply.readUInt16BE(0)).sort((a, b) => a - b)).toEqual(ids);
  }
  expect(server.counts.sendErrors).toBeGreaterThan(0);
  expect(server.counts.unsent).toBe(0);
});

test("two servers share a port, and one alone goes on when the other ends", async () => {
  const first = await serve();
  const second = await serve({ port: first.port });
  const asked = async () => {
    // Each socket has a port of its own, by which the kernel chooses the server.
    const asks = Array.from({ length: 40 }, (_, id) => exchange(first.port, [question(id)], 1));
    await Promise.all(asks);
    return [first.server.counts.udpQueries, second.server.counts.udpQueries];
  };
  const [one, two] = await asked();
  expect(one! + two!).toBe(40);
  expect(one).toBeGreaterThan(0);
  expect(two).toBeGreaterThan(0);
  first.server.close();
  await asked();
  expect(second.server.counts.udpQueries).toBe(two! + 40);
});

test("garbage is refused or dropped, counted, and followed by right answers", async () => {
  const { server, port } = await serve();
  const noise = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 600 }), 500);
  const socket = await Bun.udpSocket({ connect: { hostname: host, port } });
  let asked = 0;
  for (let at = 0; at < noise.length; at += 50) {
    for (const bytes of noise.slice(at, at + 50)) socket.send(bytes);
    const [reply] = await exchange(port, [question(asked++)], 1);
    expect(decode(reply!).answers).toHaveLength(3);
  }
  socket.close();
  expect(server.counts.udpQueries).toBe(noise.length + asked);
  const answered = server.counts.answers.reduce((sum, { value }) => sum + value, 0);
  const { notAQuery, noWireForm } = server.counts;
  expect(answered + notAQuery + noWireForm).toBe(noise.length + asked);
  expect(notAQuery).toBeGreaterThan(0);
});

interface TcpClient {
  write(bytes: Uint8Array): void;
  /** The next so many messages. */
  read(count: number): Promise<Buffer[]>;
  closed: Promise<void>;
  end(): void;
}

async function connect(port: number): Promise<TcpClient> {
  let received = Buffer.alloc(0);
  let wake = () => {};
  const closed = Promise.withResolvers<void>();
  const socket = await Bun.connect({
    hostname: host,
    port,
    socket: {
      data: (_, chunk) => {
        received = Buffer.concat([received, chunk]);
        wake();
      },
      close: () => {
        closed.resolve();
        wake();
      },
      error: () => {},
    },
  });
  const take = (): Buffer | undefined => {
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return undefined;
    const end = 2 + received.readUInt16BE(0);
    const message = received.subarray(2, end);
    received = received.subarray(end);
    return message;
  };
  return {
    write: (bytes) => void socket.write(bytes),
    read: async (count) => {
      const messages: Buffer[] = [];
      while (messages.length < count) {
        const message = take();
        if (message !== undefined) messages.push(message);
        else await new Promise<void>((resolve) => wake = resolve);
      }
      return messages;
    },
    closed: closed.promise,
    end: () => socket.end(),
  };
}

function framed(message: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([message.length >> 8, message.length & 255]), message]);
}

test("a connection carries many questions, cut anywhere", async () => {
  const { port } = await serve();
  const client = await connect(port);
  const bytes = Buffer.concat(Array.from({ length: 300 }, (_, id) => framed(question(id))));
  for (let at = 0; at < bytes.length; at += 97) client.write(bytes.subarray(at, at + 97));
  const replies = await client.read(300);
  expect(replies.map((reply) => reply.readUInt16BE(0)))
    .toEqual(Array.from({ length: 300 }, (_, id) => id));
  expect(decode(replies[0]!).answers).toHaveLength(10);
  client.end();
});

test("a connection that says nothing whole is closed, one that asks stays", async () => {
  const { server, port } = await serve({ tcpLimits: { idleMs: 200 } });
  const silent = await connect(port);
  const dripping = await connect(port);
  const asking = await connect(port);
  const drip = setInterval(() => dripping.write(Uint8Array.of(255)), 20);
  const ask = setInterval(() => asking.write(framed(question(1))), 20);
  await Promise.all([silent.closed, dripping.closed]);
  clearInterval(drip);
  expect(server.counts.tcpTimedOut).toBe(2);
  expect(await asking.read(1)).toHaveLength(1);
  clearInterval(ask);
  asking.end();
});

test("connections above the limit are refused", async () => {
  const { server, port } = await serve({ tcpLimits: { connectionsMax: 2 } });
  const kept = [await connect(port), await connect(port)];
  for (const client of kept) {
    client.write(framed(question(1)));
    await client.read(1);
  }
  const refused = await connect(port);
  await refused.closed;
  expect(server.counts.tcpRefused).toBe(1);
  for (const client of kept) client.end();
});

test("a question that waits holds up no other, and too many on one connection wait unread", async () => {
  const held = Promise.withResolvers<Fetched>();
  let fetches = 0;
  const { port } = await serve({
    tcpLimits: { waitingMax: 4 },
    fetch: () => {
      fetches++;
      return held.promise;
    },
  });
  const client = await connect(port);
  const remote = Array.from({ length: 10 }, (_, id) => framed(question(id, "x.node.dc2.consul.")));
  client.write(Buffer.concat(remote));
  const [reply] = await exchange(port, [question(99)], 1);
  expect(reply!.readUInt16BE(0)).toBe(99);
  expect(fetches).toBe(4);
  held.resolve({ kind: "node", node: nodeRow("x", "10.2.0.1", { datacenter: "dc2" }) });
  const replies = await client.read(10);
  expect(replies.map((one) => one.readUInt16BE(0)).sort((a, b) => a - b))
    .toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(decode(replies[0]!).answers).toHaveLength(1);
  client.end();
});

test("what another datacenter does not tell is a failure, not an absence", async () => {
  const { port } = await serve();
  const [reply] = await exchange(port, [question(1, "web.service.dc2.consul.")], 1);
  expect((decode(reply!) as unknown as { rcode: string }).rcode).toBe("SERVFAIL");
});

test("a port that another program holds is a clear refusal", async () => {
  const taken = Bun.listen({ hostname: host, port: 0, socket: { data: () => {} } });
  const refused = serve({ port: taken.port });
  await expect(refused).rejects.toThrow(`over TCP at ${host} port ${taken.port}`);
  await expect(refused).rejects.toThrow("ports.dns");
  taken.stop(true);
});
