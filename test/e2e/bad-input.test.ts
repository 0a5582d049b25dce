// What no client should send, to every port and socket of a whole node: a clear error or a drop, a
// counter that rises, and all daemons go on in the same processes.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { Frame } from "#proto/messages.js";
import { dig, loopbackNet, TestNode, until } from "./node.ts";
import { frame, talk, throwAt } from "./raw.ts";

const daemons = ["raftd", "relayd", "gossipd", "checkd", "dnsd", "apid", "cad"];
const node = new TestNode({ name: "server-1", address: loopbackNet()(1), bootstrapExpect: 1 });
const tcp = (port: number) => ({ host: node.address, port });
let pidsBefore: Record<string, number>;

const seed = Math.floor(Math.random() * 2 ** 31);
/** Bytes of a small generator: the same seed gives the same garbage. */
function garbage(bytes: number, salt: number): Uint8Array {
  let state = (seed + salt * 7919) >>> 0;
  return Uint8Array.from({ length: bytes }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

/** Runs the attack and waits until the counters of the daemon have risen by at least `rise`. */
async function counts(
  daemon: string,
  pattern: RegExp,
  rise: number,
  attack: () => Promise<unknown>,
): Promise<void> {
  const before = await node.counted(daemon, pattern);
  await attack();
  let now = before;
  await until(
    `${daemon} counts ${rise} more of ${pattern}`,
    15_000,
    async () => (now = await node.counted(daemon, pattern)) >= before + rise,
    () => `seed ${seed}: from ${before} to ${now}`,
  );
}

beforeAll(async () => {
  await node.start().ready();
  await node.allReady(daemons);
  pidsBefore = await node.pids([...daemons, "agent"]);
  await node.put("/v1/agent/service/register", { Name: "steady", Address: "10.3.2.1" });
  await until("the service is in DNS", 15_000, async () => {
    return (await dig(node.address, "steady.service.consul")).length === 1;
  });
}, 120_000);

afterAll(async () => {
  await node.remove();
}, 60_000);

/** Every daemon is the process that it was, and the node answers. */
async function isUnharmed(): Promise<void> {
  expect({ seed, pids: await node.pids([...daemons, "agent"]) }).toEqual({
    seed,
    pids: pidsBefore,
  });
  const value = crypto.randomUUID();
  expect(await node.put("/v1/kv/steady", value)).toBe("true");
  expect(await (await node.fetch("/v1/kv/steady?raw")).text()).toBe(value);
  expect(await dig(node.address, "steady.service.consul")).toEqual(["10.3.2.1"]);
  const members = await node.json<{ Name: string }[]>("/v1/agent/members");
  expect(members.map(({ Name }) => Name)).toEqual(["server-1"]);
}

const valueMax = 512 * 1024;

test("a value above 512 KiB is refused with Consul's text, one of 512 KiB is taken", async () => {
  await counts("apid", /^apid_requests_total\{class="4xx"\}/, 1, async () => {
    const body = Buffer.alloc(valueMax + 1, "x");
    const response = await node.fetch("/v1/kv/large", { method: "PUT", body });
    expect(response.status).toBe(413);
    expect(await response.text()).toStartWith(
      `Request body(${valueMax + 1} bytes) too large, max size: ${valueMax} bytes. See `,
    );
  });
  expect((await node.fetch("/v1/kv/large")).status).toBe(404);
  expect(await node.put("/v1/kv/large", "y".repeat(valueMax))).toBe("true");
  expect((await (await node.fetch("/v1/kv/large?raw")).text()).length).toBe(valueMax);
  await isUnharmed();
}, 60_000);

test("a Content-Length that lies and a body in endless chunks do no harm", async () => {
  const put = (path: string, headers: string, body: string) =>
    talk(tcp(8500), `PUT ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`, true);
  // Less was announced than came: the rest is taken for a request, which is none.
  const short = await put("/v1/kv/short", "Content-Length: 10", "z".repeat(600_000));
  expect(short).not.toContain("200 OK\r\n\r\nz");
  const kept = await (await node.fetch("/v1/kv/short?raw")).text();
  expect(["", "z".repeat(10)]).toContain(kept);
  // More was announced than came: half a value is not written.
  await put("/v1/kv/half", "Content-Length: 1000", "half");
  expect((await node.fetch("/v1/kv/half")).status).toBe(404);
  // An announcement alone is enough for a no.
  const huge = await put("/v1/kv/huge", "Content-Length: 99999999999", "");
  expect(huge).toStartWith("HTTP/1.1 413");
  const negative = await put("/v1/kv/negative", "Content-Length: -1", "x");
  expect(negative).toStartWith("HTTP/1.1 400");
  const chunk = `10000\r\n${"c".repeat(0x10000)}\r\n`;
  const chunked = await put("/v1/kv/chunked", "Transfer-Encoding: chunked", chunk.repeat(64));
  expect(chunked).toStartWith("HTTP/1.1 413");
  expect(chunked).toContain(`too large, max size: ${valueMax} bytes`);
  expect((await node.fetch("/v1/kv/chunked")).status).toBe(404);
  await isUnharmed();
}, 60_000);

test.each([
  ["PUT", "/v1/agent/service/register", '{"Name": "x", ', 400, "Request decode failed: "],
  ["PUT", "/v1/agent/service/register", '{"Name": 7}', 400, "Request decode failed: "],
  ["PUT", "/v1/catalog/register", "\u0000\u0001", 400, "Request decode failed: "],
  ["PUT", "/v1/session/create", "[[[[", 400, "Request decode failed: "],
  ["PUT", "/v1/txn", '{"KV": {}}', 400, "Failed to parse body: "],
  ["PUT", "/v1/txn", `${"[".repeat(100_000)}`, 400, "Failed to parse body: "],
  ["GET", "/v1/kv/x?index=minus", undefined, 400, "Invalid index"],
  ["GET", "/v1/nothing/here", undefined, 404, "Invalid URL path"],
  ["BREW", "/v1/kv/x", undefined, 405, "method BREW not allowed"],
  ["PATCH", "/v1/agent/self", undefined, 405, "method PATCH not allowed"],
])("request %#: %s %s is refused and counted", async (method, path, body, status, text) => {
  await counts("apid", /^apid_requests_total\{class="4xx"\}/, 1, async () => {
    const request = [`${method} ${path} HTTP/1.1`, "Host: x", "Connection: close"];
    if (body !== undefined) request.push(`Content-Length: ${Buffer.byteLength(body)}`);
    const answer = await talk(tcp(8500), `${request.join("\r\n")}\r\n\r\n${body ?? ""}`);
    expect(answer).toStartWith(`HTTP/1.1 ${status} `);
    expect(answer).toContain(text);
  });
}, 30_000);

test("what is no HTTP is refused, counted and hung up on", async () => {
  await counts("apid", /^apid_malformed_requests_total/, 4, async () => {
    for (let n = 0; n < 3; n++) {
      const answer = await talk(
        tcp(8500),
        Buffer.concat([garbage(300, n), Buffer.from("\r\n\r\n")]),
      );
      expect({ seed, n, answer: answer.slice(0, 12) }).toEqual({ seed, n, answer: "HTTP/1.1 400" });
    }
    const endless = `GET / HTTP/1.1\r\nX: ${"h".repeat(2_000_000)}`;
    expect(await talk(tcp(8500), endless)).toMatch(/^HTTP\/1\.1 4(00|31)/);
  });
  await isUnharmed();
}, 60_000);

const hello = (purpose: string, datacenter = "dc1") =>
  frame(
    Frame.encode({
      hello: {
        version: 1,
        oldest: 1,
        daemon: "test",
        release: "test",
        nodeId: "none",
        node: "none",
        datacenter,
        purpose,
      },
    }).finish(),
  );
const request = (method: string, payload: Uint8Array) =>
  frame(Frame.encode({ call: 1, request: { method, payload } }).finish());
/** Of wire type 7, which does not exist. */
const noProtobuf = Uint8Array.of(15, 255, 255, 255, 7, 7, 7);
const oversized = frame(noProtobuf, 0xffff_fff0);
const truncated = frame(noProtobuf, 4_000);

for (const daemon of daemons) {
  test(`frames of garbage on ${daemon}'s socket are refused and counted`, async () => {
    const socket = { path: join(node.runDir, `${daemon}.sock`) };
    const bad = new RegExp(`^${daemon}_bus_bad_frames_total`);
    const before = await node.counted(daemon, bad);
    await counts(daemon, new RegExp(`^${daemon}_bus_oversized_frames_total`), 2, async () => {
      expect(await talk(socket, oversized)).toContain("oversized");
      expect(await talk(socket, Buffer.concat([hello("bus"), oversized]))).toContain("oversized");
    });
    expect(await talk(socket, frame(noProtobuf))).toContain("malformed");
    expect(await talk(socket, frame(new Uint8Array(0)))).toContain("malformed");
    expect(await talk(socket, request("Control.Status", noProtobuf))).toContain("no hello");
    expect(await talk(socket, Buffer.concat([hello("bus"), frame(noProtobuf)])))
      .toContain("malformed");
    // Cut off in the middle of it.
    await talk(socket, Buffer.concat([hello("bus"), truncated]), true);
    for (let n = 0; n < 20; n++) await talk(socket, garbage(200, n), true);
    expect(await node.counted(daemon, bad)).toBeGreaterThanOrEqual(before + 4);
    const payload = Buffer.concat([hello("bus"), request("Control.TailLog", noProtobuf)]);
    await counts(
      daemon,
      new RegExp(`^${daemon}_bus_bad_payloads_total`),
      1,
      () => talk(socket, payload, true),
    );
    const unknown = Buffer.concat([hello("bus"), request("Nobody.Nothing", new Uint8Array(0))]);
    expect(await talk(socket, unknown, true)).toContain("No method Nobody.Nothing");
    await isUnharmed();
  }, 60_000);
}

test("a frame that never ends on a connection that stays open is cut off everywhere", async () => {
  await Promise.all(
    daemons.map((daemon) =>
      counts(daemon, new RegExp(`^${daemon}_bus_bad_frames_total`), 1, async () => {
        const socket = { path: join(node.runDir, `${daemon}.sock`) };
        expect(await talk(socket, truncated)).toContain("no hello in time");
      })
    ),
  );
  await isUnharmed();
}, 60_000);

test("garbage on the server port is refused and counted", async () => {
  const raft = Buffer.concat([hello("raft"), frame(noProtobuf)]);
  const attacks = [
    frame(noProtobuf),
    oversized,
    frame(new Uint8Array(0)),
    Buffer.concat([garbage(400, 1)]),
    hello("raft", "elsewhere"),
    hello("tea"),
    raft,
    Buffer.concat([hello("raft"), oversized]),
    // Held open without ever being whole.
    truncated,
  ];
  await counts("raftd", /^raftd_bad_peer_connections_total/, attacks.length, async () => {
    await Promise.all(attacks.map((bytes) => talk(tcp(8300), bytes)));
  });
  await counts("raftd", /^raftd_bus_bad_frames_total/, 1, async () => {
    const answer = await talk(tcp(8300), Buffer.concat([hello("bus"), frame(noProtobuf)]));
    expect(answer).toContain("malformed");
  });
  const state = { path: join(node.runDir, "state.sock") };
  await counts("raftd", /^raftd_bus_bad_frames_total/, 1, async () => {
    expect(await talk(state, frame(noProtobuf))).toContain("malformed");
  });
  await isUnharmed();
}, 60_000);

for (const [pool, port] of [["lan", 8301], ["wan", 8302]] as const) {
  test(`garbage on the ${pool} gossip port is dropped and counted`, async () => {
    const packets = Array.from({ length: 200 }, (_, n) => garbage(1 + (n * 7) % 1_400, n));
    const dropped = new RegExp(`^gossipd_${pool}_(packets_refused|dropped_malformed)_total`);
    // Some may look like a message of a kind that is only unexpected.
    await counts("gossipd", dropped, 150, () => throwAt(node.address, port, packets));
    await counts("gossipd", new RegExp(`^gossipd_${pool}_streams_refused_total`), 3, async () => {
      await talk(tcp(port), Uint8Array.of(255, 255, 255, 255, 1, 2, 3));
      // Push/pull (6) that claims four thousand million bytes of state.
      await talk(tcp(port), Uint8Array.of(6, 0x83, 0xa5, 255, 255, 255, 255, 255), true);
      for (let n = 0; n < 20; n++) await talk(tcp(port), garbage(100, n), true);
      await talk(tcp(port), Buffer.concat([Uint8Array.of(6), new Uint8Array(2_000).fill(0xc1)]));
      await talk(tcp(port), Buffer.concat([Uint8Array.of(9), new Uint8Array(50).fill(0xc1)]));
    });
    await isUnharmed();
  }, 60_000);
}

test("garbage on the DNS port is refused or dropped, and counted", async () => {
  const malformed = Buffer.concat([
    Uint8Array.of(1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0),
    // A label of 63 bytes in a message that ends after two.
    Uint8Array.of(63, 97),
  ]);
  await counts(
    "dnsd",
    /^dnsd_dropped_replies_total/,
    11,
    () => throwAt(node.address, 8600, Array.from({ length: 11 }, (_, n) => garbage(n, n))),
  );
  await counts(
    "dnsd",
    /^dnsd_answers_total\{rcode="formerr"\}/,
    1,
    () => throwAt(node.address, 8600, [malformed]),
  );
  await counts("dnsd", /^dnsd_udp_queries_total/, 90, () => {
    const packets = Array.from({ length: 100 }, (_, n) => garbage(12 + n * 7, n));
    return throwAt(node.address, 8600, packets);
  });
  const framed = (bytes: Uint8Array, length = bytes.length) => frame(bytes, length).subarray(2);
  await counts("dnsd", /^dnsd_answers_total\{rcode="formerr"\}/, 1, async () => {
    await talk(tcp(8600), framed(malformed), true);
  });
  await talk(tcp(8600), framed(malformed, 65_535), true);
  await talk(tcp(8600), framed(new Uint8Array(0)), true);
  for (let n = 0; n < 50; n++) await talk(tcp(8600), framed(garbage(20 + n, n)), true);
  await isUnharmed();
}, 60_000);
