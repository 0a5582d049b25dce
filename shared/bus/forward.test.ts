// Calls that are passed on: whole, with a way out of circles, and again when the way breaks.

import { afterEach, describe, expect, test } from "bun:test";
import type { WatchEventInput } from "#proto/messages.js";
import { Control, Raft, State } from "#proto/services.ts";
import { CuriaError } from "../errors.ts";
import type { BusClient } from "./client.ts";
import { failureOf, Fixture } from "./fixture.ts";
import type { CallContext, OutStream } from "./types.ts";

const fixture = new Fixture();
afterEach(() => fixture.close());

/** A forwarder in front of a callee. */
async function chain(serve: Parameters<Fixture["server"]>[1]) {
  const back = fixture.path();
  await fixture.server(back, serve);
  const onward = fixture.client(back);
  const front = fixture.path();
  const forwarder = await fixture.server(front, (server) => server.route = () => onward);
  return { client: fixture.client(front), forwarder, onward };
}

describe("a call passed on", () => {
  test("arrives with its context, one hop less and the caller's class", async () => {
    const contexts: CallContext[] = [];
    const { client, forwarder } = await chain((server) =>
      server.serve(State, {
        apply(command, call) {
          contexts.push(call.context);
          return { index: command.kv!.index, ok: true };
        },
      })
    );
    const outcome = await client.of(State).apply({ kv: { index: 9 } }, {
      token: "t",
      trace: "abc",
      context: { client: "me", sequence: 3, floor: 2 },
    });
    expect(outcome).toMatchObject({ index: 9, ok: true });
    const { token, trace, caller, hops, client: name, sequence, floor } = contexts[0]!;
    expect({ token, trace, caller, hops, name, sequence, floor }).toEqual({
      token: "t",
      trace: "abc",
      caller: "local",
      hops: 4,
      name: "me",
      sequence: 3,
      floor: 2,
    });
    expect(forwarder.counts.forwarded).toBe(1);
  });

  test("brings back the error as it is", async () => {
    const { client } = await chain((server) =>
      server.serve(Raft, {
        leader() {
          throw new CuriaError("no-leader", "No cluster leader");
        },
      })
    );
    expect(await failureOf(client.of(Raft).leader({}))).toMatchObject({
      code: "no-leader",
      message: "No cluster leader",
    });
  });

  test("is cancelled at the callee when its caller gives up", async () => {
    const told = Promise.withResolvers<void>();
    const { client } = await chain((server) =>
      server.serve(Raft, {
        leader(_request, call) {
          call.onCancel(told.resolve);
          return new Promise(() => {});
        },
      })
    );
    expect((await failureOf(client.of(Raft).leader({}, { timeoutMs: 30 }))).code)
      .toBe("deadline-exceeded");
    await told.promise;
  });

  test("as a stream keeps order, flow control and end", async () => {
    let queuedMax = 0;
    const { client } = await chain((server) =>
      server.serve(Control, {
        async tailLog({ lines }, _call, stream) {
          for (let i = 0; i < lines; i++) {
            const isRoom = stream.write({ line: `${i} ${"x".repeat(2000)}` });
            queuedMax = Math.max(queuedMax, stream.queuedBytes);
            if (!isRoom) await stream.drained();
          }
          stream.end();
        },
      })
    );
    let next = 0;
    for await (const { line } of client.of(Control).tailLog({ lines: 2000 })) {
      expect(line.startsWith(`${next++} `)).toBe(true);
    }
    expect(next).toBe(2000);
    expect(queuedMax).toBeLessThan(10_000);
  });

  test("as a confirmation does not overtake the changes sent before it", async () => {
    let out: OutStream<WatchEventInput> | undefined;
    const { client } = await chain((server) =>
      server.serve(State, {
        watch(_request, _call, stream) {
          out = stream;
          stream.write({ stream: 1 });
        },
        confirm: () => ({ index: 7 }),
      })
    );
    const events: number[] = [];
    const stream = client.of(State).watch({});
    const opened = new Promise<void>((resolve) => {
      stream.onItem = (event) => {
        if (event.stream) {
          stream.pause();
          resolve();
        } else events.push(event.changed!.index);
      };
    });
    await opened;
    // More than the credit of both ways holds, while the reader does not read.
    const watches = Array.from({ length: 50_000 }, (_, i) => i);
    for (let index = 1; index <= 5; index++) out!.write({ changed: { watches, index } });
    const confirmed = client.of(State).confirm({}).then((meta) => {
      expect(meta.index).toBe(7);
      return events.length;
    });
    await client.of(State).apply({ kv: {} }).catch(() => {});
    stream.resume();
    expect(await confirmed).toBe(5);
  });

  test("as a stream that is cancelled closes at the callee", async () => {
    const told = Promise.withResolvers<void>();
    const { client } = await chain((server) =>
      server.serve(Control, {
        tailLog(_request, _call, stream) {
          stream.onClose(told.resolve);
          stream.write({ line: "a" });
        },
      })
    );
    for await (const _ of client.of(Control).tailLog({})) break;
    await told.promise;
  });

  test("as an upload brings every item and the answer", async () => {
    const { client } = await chain((server) =>
      server.serve(Raft, {
        async restoreSnapshot(chunks) {
          let index = 0;
          for await (const chunk of chunks) index += chunk.bytes.length;
          return { index };
        },
      })
    );
    const upload = client.of(Raft).restoreSnapshot();
    for (let i = 0; i < 100; i++) {
      if (!upload.write({ bytes: new Uint8Array(20_000) })) await upload.drained();
    }
    upload.end();
    expect((await upload.answer).index).toBe(2_000_000);
  });
});

describe("routes", () => {
  test("in a circle end with an error", async () => {
    const [a, b] = [fixture.path(), fixture.path()];
    const toA = fixture.client(a);
    const toB = fixture.client(b);
    const first = await fixture.server(a, (server) => server.route = () => toB);
    await fixture.server(b, (server) => server.route = () => toA);
    const failure = await failureOf(fixture.client(a).of(Raft).leader({}));
    expect(failure.message).toBe(
      "The call was passed on too often: daemons route in a circle",
    );
    expect(first.counts.forwarded).toBeLessThanOrEqual(3);
  });

  test("that refuse give their error to the caller, at once or later", async () => {
    const path = fixture.path();
    const refusal = new CuriaError("no-servers", "No known Consul servers");
    const server = await fixture.server(path, (bus) =>
      bus.route = () => {
        throw refusal;
      });
    const raft = fixture.client(path).of(Raft);
    expect((await failureOf(raft.leader({}))).code).toBe("no-servers");
    server.route = () => Promise.reject(refusal);
    expect((await failureOf(raft.leader({}))).code).toBe("no-servers");
  });

  test("are asked again when the way taken broke", async () => {
    const back = fixture.path();
    await fixture.server(
      back,
      (server) => server.serve(Raft, { leader: () => ({ address: "b" }) }),
    );
    const dead = fixture.client(fixture.path(), { waits: false });
    const alive = fixture.client(back, { waits: false });
    const ways: BusClient[] = [dead, alive];
    const front = fixture.path();
    await fixture.server(front, (server) => server.route = () => ways.shift());
    expect((await fixture.client(front).of(Raft).leader({})).address).toBe("b");
    expect(ways).toEqual([]);
  });
});
