// What peers do wrong, and what the bus makes of it: a clear end, a count, no harm to others.

import { afterEach, describe, expect, test } from "bun:test";
import { Control, Raft, State } from "#proto/services.ts";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../random.ts";
import { encodeFrames, failureOf, Fixture, identity } from "./fixture.ts";
import { BusServer } from "./server.ts";
import { plainTransport } from "./transport.ts";
import type { OutStream } from "./types.ts";

const fixture = new Fixture();
afterEach(() => fixture.close());

const leader = (server: BusServer) => server.serve(Raft, { leader: () => ({ address: "here" }) });

async function serverWithWitness(options = {}) {
  const path = fixture.path();
  const server = await fixture.server(path, leader, options);
  const witness = fixture.client(path).of(Raft);
  await witness.leader({});
  return { path, server, witness };
}

describe("a peer", () => {
  test("that sends garbage is told so and cut off; others go on", async () => {
    const { path, server, witness } = await serverWithWitness();
    const peer = await fixture.raw(path);
    peer.sendBytes(Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    await peer.closed;
    expect(peer.frames.at(-1)?.failure?.message).toBe("Expected bus frames but got: oversized");
    expect(server.counts.oversizedFrames).toBe(1);
    const other = await fixture.raw(path);
    other.sendBytes(Uint8Array.of(0, 0, 0, 3, 1, 2, 3));
    await other.closed;
    expect(server.counts.badFrames).toBe(1);
    expect((await witness.leader({})).address).toBe("here");
  });

  test("that calls before its hello is cut off", async () => {
    const { path, server } = await serverWithWitness();
    const peer = await fixture.raw(path);
    peer.send({ call: 1, request: { method: "Raft.Leader" } });
    await peer.closed;
    expect(peer.frames.some((frame) => frame.call === 1)).toBe(false);
    expect(server.counts.badFrames).toBe(1);
  });

  test("whose frame is truncated by its end leaves nothing behind", async () => {
    const { path, server, witness } = await serverWithWitness();
    const peer = await fixture.raw(path);
    peer.hello();
    const whole = encodeFrames({ call: 1, request: { method: "Raft.Leader" } });
    peer.sendBytes(whole.subarray(0, whole.length - 3));
    await peer.frame((frame) => frame.hello !== null);
    peer.wire.close();
    while (server.connectionCount > 1) await witness.leader({});
    expect(server.counts.badFrames).toBe(0);
  });

  test("whose message does not decode gets invalid-argument and keeps its connection", async () => {
    const { path, server } = await serverWithWitness();
    const peer = await fixture.raw(path);
    peer.hello();
    const garbage = Uint8Array.of(0xff, 0xff, 0xff);
    peer.send({ call: 1, request: { method: "Raft.Leader", payload: garbage } });
    const refused = await peer.frame((frame) => frame.call === 1);
    expect(refused.failure?.code).toBe(1);
    expect(refused.failure?.message).toStartWith("Raft.Leader: ");
    peer.send({ call: 2, request: { method: "Raft.Leader" } });
    expect((await peer.frame((frame) => frame.call === 2)).body).toBe("response");
    expect(server.counts.badPayloads).toBe(1);
  });

  test("that asks for an unknown method gets unimplemented", async () => {
    const { path } = await serverWithWitness();
    const peer = await fixture.raw(path);
    peer.hello();
    peer.send({ call: 1, request: { method: "Raft.Explode" } });
    expect((await peer.frame((frame) => frame.call === 1)).failure?.code).toBe(10);
  });

  test("of a release too far away is refused in words, and so is the client's call", async () => {
    const { path } = await serverWithWitness();
    const peer = await fixture.raw(path);
    peer.hello({ version: 9, oldest: 8 });
    await peer.closed;
    expect(peer.frames.at(-1)?.failure?.message).toBe(
      "Expected a bus version from 1 to 1 but test 0.1.0 speaks 8 to 9: upgrade the older daemon",
    );

    const newer = join(fixture.dir(), "newer.sock");
    const listener = plainTransport.listen({ path: newer }, (wire) => {
      const hello = encodeFrames({
        hello: { ...identity, version: 9, oldest: 8, daemon: "raftd" },
      });
      wire.write(hello, 0, hello.length);
      return { onBytes() {}, onDrain() {}, onWireClosed() {} };
    });
    fixture.onClose(() => listener.close());
    const failure = await failureOf(fixture.client(newer).of(Raft).leader({}));
    expect(failure.code).toBe("failed-precondition");
    expect(failure.message).toContain("raftd 0.1.0 speaks 8 to 9");
  });

  const seed = Number(process.env.SEED ?? 5);
  test(`that sends random frames after its hello harms nobody (seed ${seed})`, async () => {
    const { path, server, witness } = await serverWithWitness();
    const random = new Random(seed);
    for (let round = 0; round < 50; round++) {
      const peer = await fixture.raw(path);
      peer.hello();
      for (let i = 0; i < 20; i++) {
        const call = random.below(3);
        const bytes = Uint8Array.from({ length: random.below(30) }, () => random.below(256));
        const frame = random.pick([
          { call, request: { method: "Raft.Leader", payload: bytes } },
          { call, request: { method: "State.Subscribe" } },
          { call, response: bytes },
          { call, item: bytes },
          { call, end: true },
          { call, cancel: true },
          { call, credit: random.uint32() },
          { call, failure: { code: random.below(40) } },
          { call, pong: 3 },
        ]);
        // The callee may have cut us off by now.
        const encoded = encodeFrames(frame);
        peer.wire.write(encoded, 0, encoded.length);
      }
      peer.wire.close();
    }
    expect((await witness.leader({})).address).toBe("here");
    expect(server.counts.calls).toBeGreaterThan(50);
  });
});

describe("callers", () => {
  test("of a class that the method is not open to get permission-denied", async () => {
    const server = new BusServer({ identity: { ...identity, datacenter: "dc1" } });
    server.serve(Raft, { stats: () => ({}), leader: () => ({}), removePeer: () => ({}) });
    const port = await server.listen({ host: "127.0.0.1", port: 0 });
    fixture.onClose(() => server.stop(0));
    const addresses = [{ host: "127.0.0.1", port }];
    const client = fixture.client("", { addresses }).of(Raft);
    expect(await failureOf(client.stats({}))).toMatchObject({
      code: "permission-denied",
      message: "Raft.Stats is not open to a client caller",
    });
    await client.removePeer({});
    const remote = fixture.client("", {
      addresses,
      identity: { ...identity, datacenter: "dc2" },
    }).of(Raft);
    expect((await failureOf(remote.removePeer({}))).code).toBe("permission-denied");
    await remote.leader({});
  });

  test("cannot raise their class by what they say, only lower it", async () => {
    const path = fixture.path();
    const callers: string[] = [];
    await fixture.server(path, (server) => {
      server.serve(Raft, {
        leader(_request, call) {
          callers.push(call.caller);
          return {};
        },
      });
      return server;
    });
    const raft = fixture.client(path).of(Raft);
    for (const caller of ["", "remote", "client", "emperor"]) {
      await raft.leader({}, { context: { caller } });
    }
    expect(callers).toEqual(["local", "remote", "client", "remote"]);
  });

  test("are refused by the authorisation hook with its error", async () => {
    const { CuriaError } = await import("../errors.ts");
    const path = fixture.path();
    await fixture.server(path, (server) => {
      leader(server);
      server.authorise = (method, call) =>
        call.context.token === "good"
          ? undefined
          : new CuriaError("permission-denied", `${method.name}: token lacks it`);
    });
    const raft = fixture.client(path).of(Raft);
    expect((await raft.leader({}, { token: "good" })).address).toBe("here");
    expect((await failureOf(raft.leader({}, { token: "bad" }))).message)
      .toBe("Raft.Leader: token lacks it");
  });
});

describe("overload", () => {
  test("fails new calls when one connection has too many open", async () => {
    const path = fixture.path();
    const release: (() => void)[] = [];
    const server = await fixture.server(path, (bus) =>
      bus.serve(Raft, {
        leader: () => new Promise((resolve) => release.push(() => resolve({}))),
        stats: () => ({}),
      }), { callsMax: 10 });
    const raft = fixture.client(path).of(Raft);
    const open = Array.from({ length: 10 }, () => raft.leader({}));
    expect((await failureOf(raft.stats({}))).code).toBe("overloaded");
    for (const answer of release) answer();
    await Promise.all(open);
    await raft.stats({});
    expect(server.counts.overloads).toBe(1);
  });

  test("fails calls when the callee does not read, instead of queueing without bound", async () => {
    const path = fixture.path();
    const listener = plainTransport.listen({ path }, (wire) => {
      wire.pause();
      return { onBytes() {}, onDrain() {}, onWireClosed() {} };
    });
    fixture.onClose(() => listener.close());
    const client = fixture.client(path, { queuedMax: 4_000_000 });
    const value = new Uint8Array(1_000_000);
    const codes: string[] = [];
    for (let i = 0; i < 12; i++) {
      client.of(State).apply({ kv: { value } }, { timeoutMs: 300 })
        .catch((error) => codes.push(error.code));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(codes).toContain("overloaded");
    expect(client.counts.overloads).toBeLessThan(8);
    expect(client.counts.overloads).toBeGreaterThan(2);
  });

  test("ends a stream whose reader promises to read and does not", async () => {
    const path = fixture.path();
    const opened = Promise.withResolvers<OutStream<{ line?: string | null }>>();
    await fixture.server(
      path,
      (bus) => bus.serve(Control, { tailLog: (_request, _call, stream) => opened.resolve(stream) }),
    );
    const peer = await fixture.raw(path);
    peer.hello();
    peer.send({ call: 1, request: { method: "Control.TailLog" } });
    peer.send({ call: 1, credit: 0xffff_ffff });
    const stream = await opened.promise;
    peer.wire.pause();
    const line = "x".repeat(1_000_000);
    let written = 0;
    while (written < 500 && !stream.isClosed) {
      stream.write({ line });
      written++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(stream.isClosed).toBe(true);
    expect(written).toBeLessThan(80);
  });

  test("fails calls when too many wait for a connection", async () => {
    const client = fixture.client(fixture.path(), { waitingMax: 5 });
    const calls = Array.from({ length: 6 }, () => client.of(Raft).leader({}, { timeoutMs: 50 }));
    const codes = (await Promise.all(calls.map(failureOf))).map((error) => error.code);
    expect(codes).toEqual([...Array(5).fill("unavailable"), "overloaded"]);
  });
});

describe("a socket file", () => {
  test("is open to owner and group only", async () => {
    const path = fixture.path();
    await fixture.server(path, leader);
    expect(statSync(path).mode & 0o777).toBe(0o660);
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test("that is served is not taken away", async () => {
    const { path, witness } = await serverWithWitness();
    const second = new BusServer({ identity });
    expect(await failureOf(second.listen({ path }))).toMatchObject({
      code: "failed-precondition",
      message: `Another process already serves ${path}`,
    });
    await witness.leader({});
  });

  test("left by a killed process is replaced", async () => {
    const path = fixture.path();
    const script = `Bun.listen({ unix: ${JSON.stringify(path)}, socket: { data() {} } });
      console.log("listening");`;
    const process = Bun.spawn([globalThis.process.execPath, "-e", script], { stdout: "pipe" });
    await process.stdout.getReader().read();
    process.kill("SIGKILL");
    await process.exited;
    expect(existsSync(path)).toBe(true);
    await fixture.server(path, leader);
    expect((await fixture.client(path).of(Raft).leader({})).address).toBe("here");
  });

  test("of two processes that start at once goes to one, which then answers", async () => {
    const path = fixture.path();
    const servers = Array.from({ length: 5 }, () => new BusServer({ identity }));
    for (const server of servers) leader(server);
    const results = await Promise.allSettled(servers.map((server) => server.listen({ path })));
    for (const server of servers) fixture.onClose(() => server.stop(0));
    expect(results.filter((result) => result.status === "fulfilled").length).toBe(1);
    expect((await fixture.client(path).of(Raft).leader({})).address).toBe("here");
  });

  test("goes with its server, but not when a successor has taken its place", async () => {
    const path = fixture.path();
    const first = await fixture.server(path, leader);
    await first.stop(0);
    expect(existsSync(path)).toBe(false);
  });

  test("whose lock was left by a dead process can be taken", async () => {
    const path = fixture.path();
    const dead = Bun.spawn(["true"]);
    await dead.exited;
    writeFileSync(`${path}.lock`, String(dead.pid));
    await fixture.server(path, leader);
    expect((await fixture.client(path).of(Raft).leader({})).address).toBe("here");
  });

  test("whose path is too long is refused with its length", async () => {
    const dir = join(fixture.dir(), "x".repeat(100));
    mkdirSync(dir);
    const path = join(dir, "raftd.sock");
    const failure = await failureOf(new BusServer({ identity }).listen({ path }));
    expect(failure.code).toBe("invalid-argument");
    expect(failure.message).toContain("Expected a socket path of at most 107 bytes but");
  });
});
