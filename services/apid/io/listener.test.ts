import { afterEach, expect, test } from "bun:test";
import type { Exchange } from "./exchange.ts";
import { HttpListener, type ListenerOptions } from "./listener.ts";

const open: HttpListener[] = [];
afterEach(async () => {
  for (const listener of open.splice(0)) await listener.stop(0);
});

function listen(handle: (exchange: Exchange) => void, more: Partial<ListenerOptions> = {}) {
  const listener = new HttpListener({
    address: { host: "127.0.0.1", port: 0 },
    headerBytesMax: 4096,
    connectionsPerClientMax: 0,
    counts: { connections: 0, connectionsRefused: 0, requests: 0, malformed: 0 },
    handle,
    ...more,
  });
  listener.start();
  open.push(listener);
  return listener;
}

/** Sent once that text has come. */
interface Reply {
  after: string;
  send: string;
}

/** Sends pieces one by one, each as a packet of its own; gives back all that came until the end. */
async function talk(port: number, ...pieces: (string | Uint8Array | Reply)[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let received = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data: (_socket, bytes) => void (received += bytes.toString("latin1")),
      close: () => resolve(),
    },
  });
  for (const piece of pieces) {
    if (typeof piece === "object" && "after" in piece) {
      while (!received.includes(piece.after)) await new Promise((next) => setImmediate(next));
      socket.write(piece.send);
      continue;
    }
    socket.write(piece);
    socket.flush();
    await new Promise((next) => setImmediate(next));
  }
  await promise;
  return received;
}

const echo = async (exchange: Exchange) => {
  const body = await exchange.body(1 << 24);
  exchange.answer(200, "", `${exchange.method} ${exchange.target} ${body.length}\n`);
};
const last = "Connection: close\r\nHost: x\r\n\r\n";

test("targets and methods arrive as they were sent", async () => {
  const { port } = listen(echo);
  const answer = await talk(port, `FROB /a/../%2e%2E//b?%zz HTTP/1.1\r\n${last}`);
  expect(answer).toContain("FROB /a/../%2e%2E//b?%zz 0\n");
});

test("pipelined requests are answered in order", async () => {
  const { port } = listen(async (exchange) => {
    if (exchange.target === "/slow") await Bun.sleep(20);
    exchange.answer(200, "", exchange.target);
  });
  const answer = await talk(
    port,
    "GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n" +
      `GET /three HTTP/1.1\r\n${last}`,
  );
  expect(answer.match(/\/[a-z]+/g)).toEqual(["/slow", "/two", "/three"]);
});

test("a head and a body in single bytes are still one request", async () => {
  const { port } = listen(echo);
  const text = `PUT /x HTTP/1.1\r\nContent-Length: 5\r\n${last}hello`;
  expect(await talk(port, ...text)).toContain("PUT /x 5\n");
});

test("chunked bodies are taken apart, wherever the pieces are cut", async () => {
  const { port } = listen(echo);
  const head = `PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n${last}`;
  const body = "5;ext=1\r\nhello\r\n3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n";
  expect(await talk(port, head + body)).toContain("PUT /x 8\n");
  expect(await talk(port, head, ...body)).toContain("PUT /x 8\n");
});

test("a request after a chunked body is not part of it", async () => {
  const { port } = listen(echo);
  const answer = await talk(
    port,
    "PUT /1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" +
      `GET /2 HTTP/1.1\r\n${last}`,
  );
  expect(answer).toContain("PUT /1 1\n");
  expect(answer).toContain("GET /2 0\n");
});

test("100-continue is sent only when the body is wanted", async () => {
  const head = `PUT /x HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n${last}`;
  const wanting = listen(echo);
  expect(await talk(wanting.port, head, { after: "100 Continue", send: "a" })).toStartWith(
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200",
  );
  const refusing = listen((exchange) => exchange.answer(413, "", "too large"));
  expect(await talk(refusing.port, head)).toStartWith("HTTP/1.1 413");
});

const malformed: [string, string, number][] = [
  ["no HTTP at all", "hello\r\n\r\n", 400],
  ["two lengths", `GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n${last}`, 400],
  [
    "length and chunks",
    `GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n${last}`,
    400,
  ],
  ["space before the colon", `GET / HTTP/1.1\r\nContent-Length : 1\r\n${last}`, 400],
  ["a folded header", `GET / HTTP/1.1\r\nA: b\r\n c\r\n${last}`, 400],
  ["a bare CR in a header", `GET / HTTP/1.1\r\nA: b\rc\r\n${last}`, 400],
  ["no host", "GET / HTTP/1.1\r\n\r\n", 400],
  ["two hosts", `GET / HTTP/1.1\r\nHost: y\r\n${last}`, 400],
  ["an unknown coding", `GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n${last}`, 501],
  ["HTTP/2 without agreement", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505],
  ["a head without end", `GET / HTTP/1.1\r\nA: ${"b".repeat(5000)}\r\n`, 431],
];

test.each(malformed)("%s is refused and hung up on", async (_name, text, status) => {
  const listener = listen(echo);
  expect(await talk(listener.port, text)).toStartWith(`HTTP/1.1 ${status}`);
  expect(await talk(listener.port, `GET /fine HTTP/1.1\r\n${last}`)).toContain("GET /fine 0\n");
});

test("garbage of all kinds does not stop the listener", async () => {
  const { port } = listen(echo);
  const seed = Date.now() >>> 0;
  let state = seed;
  for (let i = 0; i < 50; i++) {
    const bytes = new Uint8Array(200).map(() =>
      (state = (state * 1664525 + 1013904223) >>> 0) >>> 24
    );
    const answer = await talk(port, bytes, "\r\n\r\n");
    expect(answer, `seed ${seed}, round ${i}`).toMatch(/^HTTP\/1\.1 (400|505|431)/);
  }
  expect(await talk(port, `GET /fine HTTP/1.1\r\n${last}`)).toContain("GET /fine 0\n");
});

test("an answer of 32 MiB arrives whole at a slow reader", async () => {
  const size = 32 << 20;
  const body = new Uint8Array(size).fill(97);
  const { port } = listen((exchange) => exchange.answer(200, "", body));
  const { promise, resolve } = Promise.withResolvers<number>();
  let bytes = 0;
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: { data: (_socket, part) => void (bytes += part.length), close: () => resolve(bytes) },
  });
  socket.pause();
  socket.write(`GET / HTTP/1.1\r\n${last}`);
  await new Promise((next) => setTimeout(next, 20));
  socket.resume();
  expect(await promise).toBeGreaterThan(size);
});

test("a client that goes away is noticed", async () => {
  const gone = Promise.withResolvers<void>();
  const arrived = Promise.withResolvers<void>();
  const { port } = listen((exchange) => {
    exchange.onAbort(() => gone.resolve());
    arrived.resolve();
  });
  const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await arrived.promise;
  socket.end();
  await gone.promise;
});

test("connections above the limit of a client get a 429", async () => {
  const listener = listen(echo, { connectionsPerClientMax: 1 });
  const held = await Bun.connect({
    hostname: "127.0.0.1",
    port: listener.port,
    socket: { data() {} },
  });
  expect(await talk(listener.port, "")).toStartWith("HTTP/1.1 429");
  held.end();
});

test("streams are chunked and end", async () => {
  const { port } = listen(async (exchange) => {
    const out = exchange.startStream(200, "");
    await out.write(Buffer.from("hello"));
    out.end();
  });
  expect(await talk(port, `GET / HTTP/1.1\r\n${last}`)).toEndWith("5\r\nhello\r\n0\r\n\r\n");
});
