// The bus as its users see it: calls between a BusClient and a BusServer over a real Unix socket.

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Control, Raft, State } from "#proto/services.ts";
import { CuriaError } from "../errors.ts";
import { BusClient, type BusClientOptions } from "./client.ts";
import { BusServer, type BusServerOptions } from "./server.ts";
import type { Identity } from "./types.ts";

const identity: Identity = {
  daemon: "test",
  release: "0.1.0",
  nodeId: "11111111-2222-3333-4444-555555555555",
  node: "n1",
  datacenter: "dc1",
};

const closing: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function socketPath(): string {
  const dir = mkdtempSync(join(tmpdir(), "curia-bus-"));
  closing.push(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, "raftd.sock");
}

async function makeServer(
  path: string,
  serve: (server: BusServer) => void,
  options: Partial<BusServerOptions> = {},
): Promise<BusServer> {
  const server = new BusServer({ identity: { ...identity, daemon: "raftd" }, ...options });
  serve(server);
  await server.listen({ path });
  closing.push(() => server.stop(0));
  return server;
}

function makeClient(path: string, options: Partial<BusClientOptions> = {}): BusClient {
  const client = new BusClient({ addresses: [{ path }], daemon: "raftd", identity, ...options });
  closing.push(() => client.close());
  return client;
}

async function failureOf(promise: Promise<unknown>): Promise<CuriaError> {
  const error = await promise.then(() => undefined, (thrown) => thrown);
  expect(error).toBeInstanceOf(CuriaError);
  return error;
}

describe("unary calls", () => {
  test("carry request, context and answer", async () => {
    const path = socketPath();
    await makeServer(path, (server) =>
      server.serve(State, {
        apply(command, call) {
          expect(command.kind).toBe("kv");
          expect(call.context.token).toBe("secret");
          expect(call.caller).toBe("local");
          return { index: 7, ok: command.kv?.session === "s" };
        },
      }));
    const outcome = await makeClient(path).of(State).apply(
      { kv: { key: Buffer.from("a"), session: "s" } },
      { token: "secret" },
    );
    expect(outcome.index).toBe(7);
    expect(outcome.ok).toBe(true);
  });

  test("answer later, out of order, each to its caller", async () => {
    const path = socketPath();
    const release: (() => void)[] = [];
    await makeServer(path, (server) =>
      server.serve(Raft, {
        leader: (_request, call) =>
          new Promise((resolve) => release.push(() => resolve({ address: call.context.trace }))),
        stats: () => {
          for (const open of release.reverse()) open();
          return {};
        },
      }));
    const raft = makeClient(path).of(Raft);
    const answers = ["a", "b", "c"].map((trace) => raft.leader({}, { trace }));
    await raft.stats({});
    expect((await Promise.all(answers)).map((answer) => answer.address)).toEqual(["a", "b", "c"]);
  });

  test("keep the code and text of a CuriaError; anything else is internal", async () => {
    const path = socketPath();
    await makeServer(path, (server) =>
      server.serve(Raft, {
        leader() {
          throw new CuriaError("no-leader", "No cluster leader");
        },
        stats: () => Promise.reject(new TypeError("boom")),
      }));
    const raft = makeClient(path).of(Raft);
    expect(await failureOf(raft.leader({}))).toMatchObject({
      code: "no-leader",
      message: "No cluster leader",
    });
    expect(await failureOf(raft.stats({}))).toMatchObject({ code: "internal", message: "boom" });
    expect(await failureOf(raft.getConfiguration({}))).toMatchObject({ code: "unimplemented" });
  });
});

describe("server streams", () => {
  test("deliver items in order, then end", async () => {
    const path = socketPath();
    await makeServer(path, (server) =>
      server.serve(Control, {
        async tailLog({ lines }, _call, stream) {
          for (let line = 0; line < lines; line++) {
            if (!stream.write({ line: String(line) })) await stream.drained();
          }
          stream.end();
        },
      }));
    const lines: string[] = [];
    for await (const item of makeClient(path).of(Control).tailLog({ lines: 1000 })) {
      lines.push(item.line);
    }
    expect(lines).toEqual(Array.from({ length: 1000 }, (_, line) => String(line)));
  });
});

describe("client streams", () => {
  test("take items and answer once", async () => {
    const path = socketPath();
    await makeServer(path, (server) =>
      server.serve(Raft, {
        async restoreSnapshot(chunks) {
          let index = 0;
          for await (const chunk of chunks) index += chunk.bytes.length;
          return { index };
        },
      }));
    const upload = makeClient(path).of(Raft).restoreSnapshot();
    for (let i = 0; i < 100; i++) {
      if (!upload.write({ bytes: new Uint8Array(10_000) })) await upload.drained();
    }
    upload.end();
    expect((await upload.answer).index).toBe(1_000_000);
  });
});
