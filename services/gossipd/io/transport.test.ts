import { afterEach, expect, test } from "bun:test";
import { createSocket } from "node:dgram";
import { createConnection, type Socket } from "node:net";
import type { Endpoint } from "../core/border.ts";
import { Keyring } from "../core/keyring.ts";
import { decodeStreamMessage, encodeStreamMessage } from "../core/wire/memberlist.ts";
import type { Envelope } from "../core/wire/packet.ts";
import { encodeStream, StreamReader } from "../core/wire/stream.ts";
import { Cipher } from "./cipher.ts";
import { newTransportCounts } from "./counts.ts";
import { type StreamEvents, TcpPort } from "./tcp.ts";
import { UdpPort } from "./udp.ts";

const loopback = Uint8Array.of(127, 0, 0, 1);
const plain: Envelope = { label: "", compress: true, sealOutgoing: true, refusePlain: true };
const keyring = new Keyring([new Uint8Array(32).fill(7)]);
const sealed: Envelope = { ...plain, sealer: new Cipher(keyring) };
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A UDP port that nobody listens on any more. */
async function closedPort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

test("packets to dead ports harm none of those to living ones", async () => {
  const counts = newTransportCounts();
  const heard = new Set<number>();
  let whole!: () => void;
  const all = new Promise<void>((resolve) => whole = resolve);
  const receiver = await UdpPort.open("127.0.0.1", 0, newTransportCounts(), (_from, bytes) => {
    heard.add(bytes[0]!);
    if (heard.size === 200) whole();
  });
  const sender = await UdpPort.open("127.0.0.1", 0, counts, () => {});
  closers.push(() => receiver.close(), () => sender.close());
  const dead = await closedPort();
  for (let i = 0; i < 200; i++) {
    sender.send({ address: loopback, port: dead }, Uint8Array.of(i));
    sender.send({ address: loopback, port: receiver.port }, Uint8Array.of(i));
    // Lets the ICMP answers in between.
    if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await all;
  expect(counts.packetsOut).toBe(400);
}, 10_000);

test("an address that this socket cannot reach is counted, not thrown", async () => {
  const counts = newTransportCounts();
  const sender = await UdpPort.open("127.0.0.1", 0, counts, () => {});
  closers.push(() => sender.close());
  sender.send({ address: new Uint8Array(16).fill(1), port: 9 }, Uint8Array.of(1));
  sender.send({ address: loopback, port: 0 }, Uint8Array.of(1));
  expect(counts.sendErrors).toBe(1);
});

interface Heard {
  kind: keyof StreamEvents;
  text: string;
}

/** A listening port that answers every message with itself. */
async function listen(envelope: Envelope, timeoutMs = 1_000) {
  const heard: Heard[] = [];
  const counts = newTransportCounts();
  const waiters: (() => void)[] = [];
  const tell = (kind: keyof StreamEvents, text: string) => {
    heard.push({ kind, text });
    for (const wake of waiters.splice(0)) wake();
  };
  const tcp: TcpPort = new TcpPort(envelope, timeoutMs, counts, {
    received: (stream: number, _from: Endpoint, message: Uint8Array) => {
      tell("received", decodeStreamMessage(message).kind);
      tcp.reply(stream, message);
    },
    answered: (_stream, message) => tell("answered", decodeStreamMessage(message).kind),
    failed: (_stream, reason) => tell("failed", reason),
    refused: (_from, reason) => tell("refused", reason),
  });
  const port = await tcp.listen("127.0.0.1", 0);
  closers.push(() => tcp.stop());
  const next = async (kind: keyof StreamEvents) => {
    while (!heard.some((one) => one.kind === kind)) {
      await new Promise<void>((resolve) => waiters.push(resolve));
    }
    return heard.find((one) => one.kind === kind)!.text;
  };
  return { tcp, port, counts, heard, next };
}

const ping = encodeStreamMessage({
  kind: "ping",
  body: { Node: "n", SeqNo: 1, SourceAddr: null, SourceNode: "", SourcePort: 0 },
});
const large = encodeStreamMessage({
  kind: "pushPull",
  body: { join: true, nodes: [], userState: crypto.getRandomValues(new Uint8Array(60_000)) },
});

for (
  const [name, envelope] of [["plain", plain], ["sealed", sealed], ["labelled", {
    ...sealed,
    label: "lab",
  }]] as const
) {
  test(`a message and its answer, ${name}`, async () => {
    const server = await listen(envelope);
    const dialler = await listen(envelope);
    dialler.tcp.open(1, { address: loopback, port: server.port }, large, 2_000);
    expect(await server.next("received")).toBe("pushPull");
    expect(await dialler.next("answered")).toBe("pushPull");
  });
}

test("who speaks plain to an encrypted port is told so", async () => {
  const server = await listen(sealed);
  const dialler = await listen({ ...sealed, sealOutgoing: false, refusePlain: false });
  dialler.tcp.open(1, { address: loopback, port: server.port }, ping, 2_000);
  expect(await server.next("refused")).toContain("remote state is not encrypted");
  expect(await dialler.next("answered")).toBe("err");
});

test("a dead port, a silent one and garbage end in a reason", async () => {
  const dialler = await listen(plain);
  const gone = await listen(plain);
  await gone.tcp.stop();
  dialler.tcp.open(1, { address: loopback, port: gone.port }, ping, 1_000);
  expect(await dialler.next("failed")).toContain("connection refused");

  const locked = await listen(plain);
  const other = await listen({ ...sealed, sealOutgoing: true });
  other.tcp.open(1, { address: loopback, port: locked.port }, ping, 1_000);
  expect(await locked.next("refused")).toContain("Remote state is encrypted");

  const server = await listen(plain);
  const socket = createConnection({ host: "127.0.0.1", port: server.port });
  const closed = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  socket.on("error", () => {});
  socket.write(Uint8Array.of(99, 1, 2, 3));
  expect(await server.next("refused")).toContain("type 99");
  await closed;
});

test("who has another key learns that this is why, on both sides", async () => {
  const server = await listen(sealed);
  const other: Envelope = { ...plain, sealer: new Cipher(new Keyring([new Uint8Array(32)])) };
  const dialler = await listen(other);
  dialler.tcp.open(1, { address: loopback, port: server.port }, ping, 2_000);
  expect(await server.next("refused")).toBe("no installed key opens the stream");
  expect(await dialler.next("failed")).toBe("no installed key opens the stream");
  expect(server.counts.streamsRefused).toBe(1);
});

const pieces: [what: string, send: (socket: Socket, message: Uint8Array) => void][] = [
  ["says nothing", () => {}],
  ["holds back the end", (socket, message) => socket.write(message.subarray(0, -1))],
  ["sends a byte now and then", (socket, message) => {
    let sent = 0;
    const dripping = setInterval(() => socket.write(message.subarray(sent, ++sent)), 20);
    socket.on("close", () => clearInterval(dripping));
  }],
];
for (const [what, send] of pieces) {
  test(`a peer that ${what} is cut off at the deadline, and counted`, async () => {
    const server = await listen(plain, 200);
    const socket = createConnection({ host: "127.0.0.1", port: server.port });
    socket.on("error", () => {});
    send(socket, encodeStream(large, plain, true));
    await new Promise<void>((resolve) => socket.on("close", () => resolve()));
    expect(await server.next("refused")).toBe("unfinished after 200 ms");
    expect(server.counts.streamsTimedOut).toBe(1);
    expect(server.heard.some(({ kind }) => kind === "received")).toBe(false);
  }, 5_000);
}

test("a message that ends in its middle is counted and said", async () => {
  const server = await listen(plain);
  const socket = createConnection({ host: "127.0.0.1", port: server.port });
  socket.end(encodeStream(large, plain, true).subarray(0, 1_000));
  expect(await server.next("refused")).toContain("ended in the middle of a message, after 1000");
  expect(server.counts.streamFailures).toBe(1);
});

test("the answer's last bytes arrive also when they come alone", () => {
  const reader = new StreamReader(plain, false);
  expect(reader.push(ping.subarray(0, ping.length - 1))).toBeUndefined();
  expect(reader.push(ping.subarray(ping.length - 1))).toEqual(ping);
});
