// Reads over a real bus against a small stand-in for raftd: one key, watches, confirmations.

import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { WatchEventInput } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import { BusServer } from "#shared/bus/server.ts";
import type { OutStream } from "#shared/bus/types.ts";
import { CuriaError } from "#shared/errors.ts";
import { jsonAnswer } from "../../core/answer.ts";
import type { ReadOptions } from "../../core/params.ts";
import { serveBlocking } from "./blocking.ts";
import type { ReadPlan } from "./plan.ts";
import { Reads } from "./reads.ts";

const identity = { daemon: "raftd", release: "0", nodeId: "", node: "n", datacenter: "dc1" };

/** A state with one value; every read, confirmation and watch is counted. */
class FakeState {
  index = 10;
  value = "one";
  isMissing = false;
  generation = 1;
  isLeaderless = false;
  lastContactMs = 0;
  readonly counts = { reads: 0, confirms: 0, watches: 0 };
  #stream: OutStream<WatchEventInput> | undefined;
  #watched = new Set<number>();
  readonly server = new BusServer({ identity });

  async listen(path: string): Promise<void> {
    const meta = () => {
      if (this.isLeaderless) throw new CuriaError("no-leader", "No cluster leader");
      const { index, generation, isMissing: notFound } = this;
      return {
        index,
        generation,
        appliedIndex: index,
        knownLeader: this.lastContactMs === 0,
        lastContactMs: this.lastContactMs,
        notFound,
      };
    };
    this.server.serve(State, {
      read: () => {
        this.counts.reads++;
        return { meta: meta(), kv: [{ key: Buffer.from("k"), value: Buffer.from(this.value) }] };
      },
      confirm: () => {
        this.counts.confirms++;
        return meta();
      },
      watch: (_request, _call, stream) => {
        this.#stream = stream;
        this.#watched.clear();
        stream.write({ stream: 1 });
        stream.write({ bookmark: { index: this.index, generation: 1, knownLeader: true } });
      },
      watchUpdate: ({ add, remove }) => {
        for (const number of remove) this.#watched.delete(number);
        if (add !== 0) {
          this.counts.watches++;
          this.#watched.add(add);
        }
        return {};
      },
    });
    await this.server.listen({ path });
  }

  change(value: string, index = this.index + 1): void {
    this.value = value;
    this.index = index;
    this.touch();
  }

  touch(): void {
    this.#stream?.write({ changed: { watches: [...this.#watched], index: this.index } });
  }

  bookmark(): void {
    const { index, lastContactMs } = this;
    const knownLeader = lastContactMs === 0;
    this.#stream?.write({ bookmark: { index, generation: 1, knownLeader, lastContactMs } });
  }

  get watched(): number {
    return this.#watched.size;
  }
}

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function setUp() {
  const directory = mkdtempSync(join(tmpdir(), "apid-"));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "state.sock");
  const state = new FakeState();
  await state.listen(path);
  cleanups.push(() => state.server.stop());
  const client = new BusClient({ addresses: [{ path }], daemon: "raftd", identity });
  cleanups.push(() => client.close());
  const reads = new Reads({ client, bytesMax: 1 << 20, callTimeoutMs: 5_000 });
  cleanups.push(() => reads.close());
  const opened = Promise.withResolvers<void>();
  reads.hub.onOpen = opened.resolve;
  reads.start();
  await opened.promise;
  return { state, reads };
}

const options: ReadOptions = {
  datacenter: "",
  token: "",
  mode: "default",
  staleMaxMs: 0,
  index: 0,
  waitMs: 0,
  isCached: false,
  cacheControl: { maxAgeMs: undefined, mustRevalidate: false, staleIfErrorMs: 0 },
};
const plan: ReadPlan = {
  key: "kv get k",
  query: { kvGet: { key: Buffer.from("k") } },
  render: (reply) => jsonAnswer(Buffer.from(reply.kv[0]!.value).toString()),
};
const caller = { isAborted: false, onAbort: () => {} };

test("a read is asked the first time, kept from the second, confirmed from then on", async () => {
  const { state, reads } = await setUp();
  for (let i = 0; i < 5; i++) expect((await reads.serve(plan, options)).body).toBe("one");
  expect(state.counts).toEqual({ reads: 2, confirms: 3, watches: 1 });
});

test("reads of one turn share a confirmation", async () => {
  const { state, reads } = await setUp();
  for (let i = 0; i < 2; i++) await reads.serve(plan, options);
  await Promise.all(Array.from({ length: 50 }, () => reads.serve(plan, options)));
  expect(state.counts.confirms).toBe(1);
  expect(state.counts.reads).toBe(2);
});

test("a change that was told makes the next read ask again", async () => {
  const { state, reads } = await setUp();
  for (let i = 0; i < 3; i++) await reads.serve(plan, options);
  state.change("two");
  const answer = await reads.serve(plan, options);
  expect(answer.body).toBe("two");
  expect(answer.headers).toContain("X-Consul-Index: 11\r\n");
});

test("a read that comes while another is under way does not share it, but the one after", async () => {
  const { state, reads } = await setUp();
  for (let i = 0; i < 3; i++) await reads.serve(plan, options);
  state.change("two");
  await reads.serve(plan, { ...options, mode: "stale" });
  state.change("three");
  const { reads: before } = state.counts;
  const answers = await Promise.all(Array.from({ length: 20 }, () => reads.serve(plan, options)));
  expect(answers.map((answer) => answer.body)).toEqual(new Array(20).fill("three"));
  expect(state.counts.reads - before).toBeLessThanOrEqual(2);
});

test("stale reads need no call while bookmarks come", async () => {
  const { state, reads } = await setUp();
  for (let i = 0; i < 5; i++) await reads.serve(plan, { ...options, mode: "stale" });
  expect(state.counts).toMatchObject({ reads: 2, confirms: 0 });
});

test("without a leader the last contact grows while nothing is told; a bound near it asks", async () => {
  const { state, reads } = await setUp();
  const stale = { ...options, mode: "stale" as const };
  for (let i = 0; i < 3; i++) await reads.serve(plan, stale);
  state.lastContactMs = 5_000;
  state.bookmark();
  const shown = async () => {
    const { headers } = await reads.serve(plan, stale);
    return Number(/X-Consul-LastContact: (\d+)/i.exec(headers)![1]);
  };
  while (await shown() < 5_000) await Bun.sleep(1);
  const first = await shown();
  while (await shown() <= first) await Bun.sleep(1);

  const { reads: before } = state.counts;
  await reads.serve(plan, { ...stale, staleMaxMs: 60_000 });
  expect(state.counts.reads).toBe(before);
  state.lastContactMs = 100;
  const answer = await reads.serve(plan, { ...stale, staleMaxMs: 6_000 });
  expect(answer.headers).toMatch(/X-Consul-LastContact: 100\r\n/i);
  expect(state.counts.reads).toBe(before + 1);
});

test("a token or another datacenter is never answered from what is kept", async () => {
  const { state, reads } = await setUp();
  for (let i = 0; i < 3; i++) await reads.serve(plan, options);
  const { reads: before } = state.counts;
  await reads.serve(plan, { ...options, token: "t" });
  await reads.serve(plan, { ...options, datacenter: "dc2" });
  expect(state.counts.reads - before).toBe(2);
});

test("equal blocked reads share one watch and one read", async () => {
  const { state, reads } = await setUp();
  const blocked = Array.from(
    { length: 100 },
    () => serveBlocking(reads, plan, { ...options, index: 10 }, 10_000, caller),
  );
  while (reads.counts.blocked < 100 || state.counts.watches === 0) await Bun.sleep(1);
  await reads.serve(plan, options);
  const { reads: before } = state.counts;
  state.change("two");
  const answers = await Promise.all(blocked);
  expect(answers.map((answer) => answer.body)).toEqual(new Array(100).fill("two"));
  expect(state.counts.reads - before).toBe(1);
  expect(state.watched).toBe(1);
  expect(reads.counts.blocked).toBe(0);
});

test("a wake-up whose index did not pass keeps waiting, and the time ends it", async () => {
  const { state, reads } = await setUp();
  const blocked = serveBlocking(reads, plan, { ...options, index: 12 }, 120, caller);
  while (reads.counts.blocked === 0) await Bun.sleep(1);
  const began = performance.now();
  state.change("two", 11);
  const answer = await blocked;
  expect(performance.now() - began).toBeGreaterThan(60);
  expect([answer.status, answer.body]).toEqual([200, "two"]);
});

test("what does not exist keeps waiting over writes of others", async () => {
  const { state, reads } = await setUp();
  state.isMissing = true;
  const single = { ...plan, isSingle: true };
  const blocked = serveBlocking(reads, single, { ...options, index: 10 }, 10_000, caller);
  let isDone = false;
  void blocked.then(() => isDone = true);
  while (state.watched === 0) await Bun.sleep(1);
  for (let i = 0; i < 3; i++) {
    const { reads: before } = state.counts;
    state.change("other");
    while (state.counts.reads === before) await Bun.sleep(1);
  }
  expect(isDone).toBe(false);
  state.isMissing = false;
  state.change("mine");
  expect((await blocked).body).toBe("mine");
});

test("a restored state ends the wait, even when its index is lower", async () => {
  const { state, reads } = await setUp();
  const blocked = serveBlocking(reads, plan, { ...options, index: 10 }, 10_000, caller);
  while (state.watched === 0) await Bun.sleep(1);
  await reads.serve(plan, options);
  state.generation = 2;
  state.change("restored", 11);
  expect((await blocked).body).toBe("restored");
});

test("no leader for a moment does not end a wait that is under way", async () => {
  const { state, reads } = await setUp();
  const blocked = serveBlocking(reads, plan, { ...options, index: 10 }, 10_000, caller);
  while (state.watched === 0) await Bun.sleep(1);
  await reads.serve(plan, options);
  state.isLeaderless = true;
  state.change("two");
  const { reads: before } = state.counts;
  while (state.counts.reads === before) await Bun.sleep(1);
  state.isLeaderless = false;
  expect((await blocked).body).toBe("two");
});

test("kept reads stay within their bytes, unused ones go first, and blocked ones stay", async () => {
  const { state, reads } = await setUp();
  state.value = "x".repeat(100_000);
  const planOf = (i: number): ReadPlan => ({ ...plan, key: `k${i}` });
  const blocked = serveBlocking(reads, planOf(0), { ...options, index: 10 }, 10_000, caller);
  while (state.watched === 0) await Bun.sleep(1);
  for (let i = 1; i <= 30; i++) {
    await reads.serve(planOf(i), options);
    await reads.serve(planOf(i), options);
  }
  expect(reads.cache.bytes).toBeLessThanOrEqual(1 << 20);
  expect(reads.cache.size).toBeLessThan(12);
  expect(reads.cache.find("k0", performance.now())).toBeDefined();
  expect(reads.cache.find("k30", performance.now())).toBeDefined();
  while (state.watched > reads.cache.size) await Bun.sleep(1);
  state.change("done");
  expect((await blocked).body).toBe("done");
});
