// A whole node on a disk that fills up: writes are refused with a reason as long as too little is
// free, reads go on, no daemon ends, and it recovers by itself.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SmallDisk } from "./disk/small-disk.ts";
import { loopbackNet, TestNode, until } from "./node.ts";

const MIB = 1024 * 1024;
/** What raftd wants free, see its README. */
const reserveBytes = 32 * MIB;
const folder = mkdtempSync(join(tmpdir(), "curia-full-"));
const disk = new SmallDisk(join(folder, "data"), 120);
const node = new TestNode({
  name: "full",
  address: loopbackNet()(1),
  bootstrapExpect: 1,
  folder,
  config: { performance: { rpc_hold_timeout: "2s" } },
});
/** Acknowledged, and not tried again since. */
const written = new Map<string, string>();
let pids: Record<string, number>;

beforeAll(async () => {
  node.start();
  await node.ready();
  pids = await node.pids(["raftd", "apid", "gossipd", "checkd"]);
}, 60_000);
afterAll(async () => {
  await node.stop();
  disk.close();
  await node.remove();
}, 30_000);

async function put(key: string, value: string): Promise<{ ok: boolean; text: string }> {
  written.delete(key);
  const response = await node.fetch(`/v1/kv/${key}`, { method: "PUT", body: value });
  const text = await response.text();
  if (response.ok && text === "true") written.set(key, value);
  return { ok: response.ok, text };
}

/** What was under way when the disk became full may have no outcome; what comes then has this one. */
async function refuses(): Promise<void> {
  let last = "";
  await until("writes are refused", 30_000, async () => {
    const { ok, text } = await put("refused", crypto.randomUUID());
    last = text;
    return !ok && /disk is full/.test(text);
  }, () => `${last}\n${node.log.slice(-3_000)}`);
  const { reason } = (await node.status("raftd"))!;
  expect(reason).toBe("the disk is full: writes are refused, reads go on");
}

async function takes(): Promise<void> {
  await until(
    "writes are taken",
    20_000,
    async () => (await put("taken", crypto.randomUUID())).ok,
    () => node.log.slice(-3_000),
  );
}

/** In every mode, all that was acknowledged; and nobody had to be started again. */
async function reads(): Promise<void> {
  for (const mode of ["", "&stale", "&consistent"]) {
    for (const [key, value] of [...written].slice(-20)) {
      const response = await node.fetch(`/v1/kv/${key}?raw${mode}`);
      expect([mode, key, response.status]).toEqual([mode, key, 200]);
      expect(await response.text()).toBe(value);
    }
  }
  expect(await node.json<unknown[]>("/v1/catalog/nodes")).toHaveLength(1);
  expect(await node.pids(Object.keys(pids))).toEqual(pids);
}

test("below the reserve writes are refused, above it they are taken", async () => {
  for (let n = 0; n < 50; n++) expect((await put(`first/${n}`, `value ${n}`)).ok).toBe(true);
  disk.fill(reserveBytes / 2);
  await refuses();
  await reads();
  disk.empty();
  await takes();
  await reads();
}, 60_000);

test("with nothing free at all", async () => {
  disk.fill(0);
  expect(disk.freeBytes).toBeLessThan(64 * 1024);
  await refuses();
  await reads();
  disk.empty();
  await takes();
  await reads();
}, 60_000);

test("filled up in the middle of writes", async () => {
  let isOver = false;
  const value = "v".repeat(50_000);
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    for (let n = 0; !isOver; n++) await put(`load/${writer}/${n}`, value + n);
  });
  await until("some are written", 15_000, () => written.has("load/0/5"));
  disk.fill(0);
  await refuses();
  isOver = true;
  await Promise.all(writers);
  await reads();
  disk.empty();
  await takes();
  await reads();
}, 60_000);

test("writes alone stop at the reserve, and go on when the disk grows", async () => {
  const value = "v".repeat(400_000);
  let refused = "";
  for (let n = 0; n < 1_000 && refused === ""; n++) {
    const { ok, text } = await put(`fill/${n}`, value + n);
    if (!ok) refused = text;
  }
  expect(refused).toMatch(/disk is full/);
  expect(disk.freeBytes).toBeGreaterThan(reserveBytes / 4);
  await refuses();
  await reads();
  disk.grow(200);
  await takes();
  await reads();
  for (const [key, value] of written) {
    expect(await (await node.fetch(`/v1/kv/${key}?raw`)).text()).toBe(value);
  }
}, 90_000);
