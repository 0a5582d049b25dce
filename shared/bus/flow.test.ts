// Bytes that do not fit at once, streams that are not read, callers that give up.

import { afterEach, describe, expect, test } from "bun:test";
import { Control, Raft, State } from "#proto/services.ts";
import { CuriaError } from "../errors.ts";
import { failureOf, Fixture } from "./fixture.ts";
import { initialCreditBytes } from "./stream.ts";
import type { Call, OutStream } from "./types.ts";

const fixture = new Fixture();
afterEach(() => fixture.close());

/** Opens Control.TailLog and hands its writing end to the test. */
async function openStream(timeoutMs = 0) {
  const path = fixture.path();
  let opened: (parts: { call: Call; out: OutStream<{ line?: string | null }> }) => void;
  const parts = new Promise<Parameters<typeof opened>[0]>((resolve) => opened = resolve);
  await fixture.server(path, (server) =>
    server.serve(Control, {
      tailLog: (_request, call, out) => opened({ call, out }),
      status: () => ({ pid: 1 }),
    }));
  const client = fixture.client(path);
  const stream = client.of(Control).tailLog({}, { timeoutMs });
  return { client, stream, ...await parts };
}

describe("long messages", () => {
  test("of 8 MiB pass in both directions beside short calls", async () => {
    const path = fixture.path();
    await fixture.server(path, (server) =>
      server.serve(State, {
        apply: (command) => ({ error: Buffer.from(command.kv!.value).toString("latin1") }),
        confirm: () => ({ index: 5 }),
      }));
    const state = fixture.client(path).of(State);
    const value = Buffer.alloc(8 * 1024 * 1024, "0123456789abcdef");
    const long = [1, 2, 3].map(() => state.apply({ kv: { value } }));
    const short = Array.from({ length: 100 }, () => state.confirm({}));
    for (const outcome of await Promise.all(long)) {
      expect(outcome.error.length).toBe(value.length);
      expect(Buffer.from(outcome.error, "latin1").equals(value)).toBe(true);
    }
    for (const meta of await Promise.all(short)) expect(meta.index).toBe(5);
  });
});

describe("a stream", () => {
  test("is held by its reader's credit, and goes on when it reads", async () => {
    const { stream, out } = await openStream();
    const line = "x".repeat(1000);
    let written = 0;
    while (out.write({ line })) written++;
    expect(written * 1000).toBeGreaterThan(initialCreditBytes * 0.9);
    expect(written * 1000).toBeLessThan(initialCreditBytes);
    for (let i = 0; i < 500; i++) out.write({ line });
    expect(out.queuedBytes).toBeGreaterThan(400_000);
    const drained = out.drained();
    let read = 0;
    for await (const _ of stream) if (++read === written + 501) break;
    await drained;
    expect(out.queuedBytes).toBe(0);
  });

  test("that is not read holds up no other call of its connection", async () => {
    const { client, out, stream } = await openStream();
    const line = "x".repeat(100_000);
    for (let i = 0; i < 100; i++) out.write({ line });
    expect((await client.of(Control).status({})).pid).toBe(1);
    stream.cancel();
  });

  test("whose writer ignores the credit fails with overloaded, in bounded memory", async () => {
    const { stream, out } = await openStream();
    const line = "x".repeat(1_000_000);
    for (let i = 0; i < 100 && !out.isClosed; i++) out.write({ line });
    expect(out.isClosed).toBe(true);
    const read = (async () => {
      for await (const _ of stream);
    })();
    expect((await failureOf(read)).code).toBe("overloaded");
  });

  test("can be paused by a reader with callbacks", async () => {
    const { stream, out } = await openStream();
    const lines: string[] = [];
    const paused = new Promise<void>((resolve) => {
      stream.onItem = ({ line }) => {
        lines.push(line);
        if (lines.length === 3) {
          stream.pause();
          resolve();
        }
      };
    });
    for (let i = 0; i < 10; i++) out.write({ line: String(i) });
    out.end();
    await paused;
    expect(lines.length).toBe(3);
    const ended = new Promise<void>((resolve) => stream.onEnd = resolve);
    stream.resume();
    await ended;
    expect(lines).toEqual(Array.from({ length: 10 }, (_, i) => String(i)));
  });

  test("that its reader cancels closes at the writer", async () => {
    const { stream, call, out } = await openStream();
    const closed = new Promise<void>((resolve) => out.onClose(resolve));
    const aborted = new Promise((resolve) => call.signal.addEventListener("abort", resolve));
    stream.cancel();
    await Promise.all([closed, aborted]);
    expect(call.isCancelled).toBe(true);
    expect(out.write({ line: "late" })).toBe(false);
  });

  test("left by `break` is cancelled", async () => {
    const { stream, out } = await openStream();
    const closed = new Promise<void>((resolve) => out.onClose(resolve));
    out.write({ line: "a" });
    for await (const _ of stream) break;
    await closed;
  });

  test("that fails gives the items before it, then the error", async () => {
    const { stream, out } = await openStream();
    out.write({ line: "a" });
    out.fail(new CuriaError("permission-denied", "the token was revoked"));
    const lines: string[] = [];
    const read = (async () => {
      for await (const { line } of stream) lines.push(line);
    })();
    expect((await failureOf(read)).code).toBe("permission-denied");
    expect(lines).toEqual(["a"]);
  });

  test("whose connection breaks fails as unavailable on one side, closes on the other", async () => {
    const { client, stream, out } = await openStream();
    const closed = new Promise<void>((resolve) => out.onClose(resolve));
    const failed = new Promise<string>((resolve) => stream.onError = (e) => resolve(e.code));
    client.close();
    expect(await failed).toBe("unavailable");
    await closed;
  });
});

describe("an upload", () => {
  test("is held by its reader's credit", async () => {
    const path = fixture.path();
    const release = Promise.withResolvers<void>();
    await fixture.server(path, (server) =>
      server.serve(Raft, {
        async restoreSnapshot(chunks) {
          await release.promise;
          let index = 0;
          for await (const chunk of chunks) index += chunk.bytes.length;
          return { index };
        },
      }));
    const upload = fixture.client(path).of(Raft).restoreSnapshot();
    const bytes = new Uint8Array(50_000);
    let written = 0;
    do written += bytes.length; while (
      upload.write({ bytes }) || !upload.isClosed && written < 1e6
    );
    expect(upload.queuedBytes).toBeGreaterThan(500_000);
    upload.end();
    release.resolve();
    expect((await upload.answer).index).toBe(written);
  });

  test("that its callee refuses tells the writer", async () => {
    const path = fixture.path();
    await fixture.server(path, (server) =>
      server.serve(Raft, {
        restoreSnapshot() {
          throw new CuriaError("invalid-argument", "not a snapshot");
        },
      }));
    const upload = fixture.client(path).of(Raft).restoreSnapshot();
    const closed = new Promise<void>((resolve) => upload.onClose(resolve));
    expect((await failureOf(upload.answer)).message).toBe("not a snapshot");
    await closed;
  });
});

describe("a caller that gives up", () => {
  test("at its deadline gets deadline-exceeded, and the callee is told", async () => {
    const path = fixture.path();
    let cancelled: () => void;
    const told = new Promise<void>((resolve) => cancelled = resolve);
    await fixture.server(path, (server) =>
      server.serve(Raft, {
        leader(_request, call) {
          expect(call.context.timeoutMs).toBeGreaterThan(0);
          expect(call.context.timeoutMs).toBeLessThanOrEqual(30);
          call.onCancel(cancelled);
          return new Promise(() => {});
        },
      }));
    const startMs = performance.now();
    const failure = await failureOf(fixture.client(path).of(Raft).leader({}, { timeoutMs: 30 }));
    expect(failure).toMatchObject({
      code: "deadline-exceeded",
      message: "Raft.Leader took longer than its caller waits",
    });
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(29);
    await told;
  });

  test("through its signal gets cancelled, and the callee is told", async () => {
    const path = fixture.path();
    const entered = Promise.withResolvers<Call>();
    await fixture.server(path, (server) =>
      server.serve(Raft, {
        leader(_request, call) {
          entered.resolve(call);
          return new Promise(() => {});
        },
      }));
    const abort = new AbortController();
    const raft = fixture.client(path).of(Raft);
    const answer = raft.leader({}, { signal: abort.signal });
    const call = await entered.promise;
    const told = new Promise<void>((resolve) => call.onCancel(resolve));
    abort.abort();
    expect((await failureOf(answer)).code).toBe("cancelled");
    await told;
    expect((await failureOf(raft.leader({}, { signal: abort.signal }))).code).toBe("cancelled");
  });

  test("by closing its connection cancels all it had open", async () => {
    const path = fixture.path();
    const cancelled: Promise<void>[] = [];
    const entered = Promise.withResolvers<void>();
    await fixture.server(path, (server) =>
      server.serve(Raft, {
        leader(_request, call) {
          cancelled.push(new Promise((resolve) => call.onCancel(resolve)));
          if (cancelled.length === 10) entered.resolve();
          return new Promise(() => {});
        },
      }));
    const client = fixture.client(path);
    const calls = Array.from({ length: 10 }, () => failureOf(client.of(Raft).leader({})));
    await entered.promise;
    client.close();
    for (const error of await Promise.all(calls)) expect(error.code).toBe("unavailable");
    await Promise.all(cancelled);
  });

  test("hands what is left of its deadline, its token and trace to the calls it makes", async () => {
    const back = fixture.path();
    const seen: object[] = [];
    await fixture.server(back, (server) =>
      server.serve(Raft, {
        leader(_request, { context: { token, trace, timeoutMs } }) {
          seen.push({ token, trace, isShorter: timeoutMs > 0 && timeoutMs <= 5_000 });
          return {};
        },
      }));
    const front = fixture.path();
    const onward = fixture.client(back).of(Raft);
    await fixture.server(
      front,
      (server) =>
        server.serve(Raft, { leader: (_request, call) => onward.leader({}, { on: call }) }),
    );
    await fixture.client(front).of(Raft).leader(
      {},
      { token: "t", trace: "abc", timeoutMs: 5_000 },
    );
    expect(seen).toEqual([{ token: "t", trace: "abc", isShorter: true }]);
  });
});
