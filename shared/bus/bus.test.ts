// The bus as its users see it: calls between a BusClient and a BusServer over a real Unix socket.

import { afterEach, describe, expect, test } from "bun:test";
import { ReadReply } from "#proto/messages.js";
import { Control, Raft, State } from "#proto/services.ts";
import { CuriaError } from "../errors.ts";
import { failureOf, Fixture } from "./fixture.ts";
import { EncodedMessage } from "./types.ts";

const fixture = new Fixture();
afterEach(() => fixture.close());

describe("unary calls", () => {
  test("carry request, context and answer", async () => {
    const path = fixture.path();
    await fixture.server(path, (server) =>
      server.serve(State, {
        apply(command, call) {
          expect(command.kind).toBe("kv");
          expect(call.context.token).toBe("secret");
          expect(call.caller).toBe("local");
          return { index: 7, ok: command.kv?.session === "s" };
        },
      }));
    const outcome = await fixture.client(path).of(State).apply(
      { kv: { key: Buffer.from("a"), session: "s" } },
      { token: "secret" },
    );
    expect(outcome.index).toBe(7);
    expect(outcome.ok).toBe(true);
  });

  test("an answer that leaves in parts arrives as one; a failure after some is a failure", async () => {
    const path = fixture.path();
    const part = (name: string, bytes: number) =>
      ReadReply.encode({ keys: [Buffer.alloc(bytes, name)] }).finish();
    await fixture.server(path, (server) =>
      server.serve(State, {
        async read({ knownIndex }, call) {
          call.answerPart(part("a", 3_000_000));
          await new Promise((resolve) => setImmediate(resolve));
          call.answerPart(part("b", 10));
          if (knownIndex === 1) throw new CuriaError("no-leader", "No cluster leader");
          return new EncodedMessage(ReadReply.encode({ meta: { index: 5 } }).finish());
        },
      }));
    const state = fixture.client(path).of(State);
    const [whole, failed] = await Promise.all([
      state.read({}),
      failureOf(state.read({ knownIndex: 1 })),
    ]);
    expect(whole.keys.map(({ length }) => length)).toEqual([3_000_000, 10]);
    expect(whole.meta?.index).toBe(5);
    expect(failed).toMatchObject({ code: "no-leader" });
  });

  test("answer later, out of order, each to its caller", async () => {
    const path = fixture.path();
    const release: (() => void)[] = [];
    await fixture.server(path, (server) =>
      server.serve(Raft, {
        leader: (_request, call) =>
          new Promise((resolve) => release.push(() => resolve({ address: call.context.trace }))),
        stats: () => {
          for (const open of release.reverse()) open();
          return {};
        },
      }));
    const raft = fixture.client(path).of(Raft);
    const answers = ["a", "b", "c"].map((trace) => raft.leader({}, { trace }));
    await raft.stats({});
    expect((await Promise.all(answers)).map((answer) => answer.address)).toEqual(["a", "b", "c"]);
  });

  test("keep the code and text of a CuriaError; anything else is internal", async () => {
    const path = fixture.path();
    await fixture.server(path, (server) =>
      server.serve(Raft, {
        leader() {
          throw new CuriaError("no-leader", "No cluster leader");
        },
        stats: () => Promise.reject(new TypeError("boom")),
      }));
    const raft = fixture.client(path).of(Raft);
    expect(await failureOf(raft.leader({}))).toMatchObject({
      code: "no-leader",
      message: "No cluster leader",
    });
    expect(await failureOf(raft.stats({}))).toMatchObject({ code: "internal", message: "boom" });
    expect(await failureOf(raft.getConfiguration({}))).toMatchObject({ code: "unimplemented" });
  });

  test("of 100,000 outstanding are all answered, each with its own answer", async () => {
    const path = fixture.path();
    await fixture.server(
      path,
      (server) =>
        server.serve(Raft, { leader: (_request, call) => ({ address: call.context.trace }) }),
    );
    const raft = fixture.client(path).of(Raft);
    await raft.leader({});
    const answers = await Promise.all(
      Array.from({ length: 100_000 }, (_, i) => raft.leader({}, { trace: String(i) })),
    );
    expect(answers.every((answer, i) => answer.address === String(i))).toBe(true);
  });

  test("carry answers far above the frame limit, encoded by the handler or not", async () => {
    const path = fixture.path();
    const reply = { cert: Buffer.alloc(5_000_000, "v") };
    await fixture.server(path, (server) =>
      server.serve(State, {
        read: (request) => {
          const answer = { kv: [{ value: reply.cert }, { value: Buffer.from("end") }] };
          if (request.knownIndex === 0) return answer;
          return new EncodedMessage(State.methods.read.response.encode(answer).finish());
        },
      }), { frameMax: 2_000_000 });
    const state = fixture.client(path, { frameMax: 2_000_000 }).of(State);
    for (const knownIndex of [0, 1]) {
      const { kv } = await state.read({ knownIndex });
      expect(kv[0]!.value.length).toBe(5_000_000);
      expect(Buffer.from(kv[0]!.value).equals(reply.cert)).toBe(true);
      expect(Buffer.from(kv[1]!.value).toString()).toBe("end");
    }
  });

  test("refuse a request above the frame limit, and go on", async () => {
    const path = fixture.path();
    await fixture.server(path, (server) => server.serve(State, { apply: () => ({ ok: true }) }), {
      frameMax: 100_000,
    });
    const state = fixture.client(path, { frameMax: 100_000 }).of(State);
    const failure = await failureOf(state.apply({ kv: { value: new Uint8Array(100_001) } }));
    expect(failure.code).toBe("invalid-argument");
    expect((await state.apply({ kv: {} })).ok).toBe(true);
  });
});

describe("server streams", () => {
  test("deliver items in order, then end", async () => {
    const path = fixture.path();
    await fixture.server(path, (server) =>
      server.serve(Control, {
        async tailLog({ lines }, _call, stream) {
          for (let line = 0; line < lines; line++) {
            if (!stream.write({ line: String(line) })) await stream.drained();
          }
          stream.end();
        },
      }));
    const lines: string[] = [];
    for await (const item of fixture.client(path).of(Control).tailLog({ lines: 1000 })) {
      lines.push(item.line);
    }
    expect(lines).toEqual(Array.from({ length: 1000 }, (_, line) => String(line)));
  });
});

describe("client streams", () => {
  test("take items and answer once", async () => {
    const path = fixture.path();
    await fixture.server(path, (server) =>
      server.serve(Raft, {
        async restoreSnapshot(chunks) {
          let index = 0;
          for await (const chunk of chunks) index += chunk.bytes.length;
          return { index };
        },
      }));
    const upload = fixture.client(path).of(Raft).restoreSnapshot();
    for (let i = 0; i < 100; i++) {
      if (!upload.write({ bytes: new Uint8Array(10_000) })) await upload.drained();
    }
    upload.end();
    expect((await upload.answer).index).toBe(1_000_000);
  });
});

test("a client that is to be connected gets there without a call, and again after a loss", async () => {
  const path = fixture.path();
  const client = fixture.client(path);
  const serve = () => fixture.server(path, () => {});
  let connected = Promise.withResolvers<void>();
  client.onConnected = () => connected.resolve();
  const refused = new Promise<void>((resolve) => client.onUnreachable = resolve);
  client.connect();
  await refused;
  const first = await serve();
  await connected.promise;
  connected = Promise.withResolvers<void>();
  await first.stop(0);
  await serve();
  await connected.promise;
  expect(client.isConnected).toBe(true);
});
