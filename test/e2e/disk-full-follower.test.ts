// A follower whose disk is full: the others go on without it, it acknowledges nothing new, and when
// there is room again it gets what it lacks.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contentOf, settled, stateFileOf } from "./disk/model.ts";
import { diskServers } from "./disk/server.ts";
import { SmallDisk } from "./disk/small-disk.ts";
import { until } from "./node.ts";

const folder = mkdtempSync(join(tmpdir(), "curia-full-"));
const disk = new SmallDisk(join(folder, "data"), 100);
const config = { performance: { rpc_hold_timeout: "5s" }, raft_snapshot_interval: "250ms" };
const servers = diskServers(3, config, [undefined, undefined, disk.folder]);
const full = servers[2]!;
const text = new TextEncoder();
let count = 0;

beforeAll(async () => {
  for (const server of servers) server.start();
  await settled(servers);
}, 60_000);
afterAll(async () => {
  await Promise.all(servers.map((server) => server.remove()));
  disk.close();
  rmSync(folder, { recursive: true });
}, 30_000);

async function write(writes: number): Promise<void> {
  for (let n = 0; n < writes; n++) {
    const command = { kv: { key: text.encode(`key/${++count}`), value: new Uint8Array(10_000) } };
    expect(await servers[n % 2]!.apply(command, 10_000)).toBe(true);
  }
}

test("two of three go on, and the third catches up when there is room", async () => {
  await write(20);
  await until("another server leads", 20_000, async () => {
    if ((await full.stats())?.state !== "Leader") return true;
    await full.giveUpLead();
    return false;
  });
  const said = (what: string) => full.log.split(what).length - 1;
  for (const [n, leaveBytes] of [16_000_000, 0].entries()) {
    disk.fill(leaveBytes);
    await until("it notices", 10_000, () => said("disk full: writes are refused") === n + 1);
    const before = (await full.stats())!;
    await write(60);
    const after = (await full.stats())!;
    expect(after.lastLogIndex - before.lastLogIndex).toBeLessThan(5);
    expect(full.isRunning).toBe(true);
    disk.empty();
    await write(1);
    await settled(servers);
    await until("it says so", 10_000, () => said("disk space is back") === n + 1);
  }
  const contents = servers.map((server) => contentOf(stateFileOf(server)));
  for (const { keys, rows } of contents) {
    expect(keys.size).toBe(count);
    expect(rows).toBe(contents[0]!.rows);
  }
}, 90_000);
