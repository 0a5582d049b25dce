// Bits that flip on a follower's disk, in real files: the damage is named, what is left is used, and
// the leader sends the rest. And a write-ahead log that a loss of power left torn.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import { contentOf, settled, stateFileOf } from "./disk/model.ts";
import { type DiskServer, diskServers } from "./disk/server.ts";

const servers = diskServers(3, {
  raft_trailing_logs: 60,
  raft_snapshot_threshold: 30,
  raft_snapshot_interval: "250ms",
});
const text = new TextEncoder();
let count = 0;

beforeAll(async () => {
  for (const server of servers) server.start();
  await settled(servers);
}, 60_000);
afterAll(() => Promise.all(servers.map((server) => server.remove())), 30_000);

/** Each write is an entry of its own, with a text to find it by. */
async function write(writes: number): Promise<void> {
  for (let n = 0; n < writes; n++) {
    const value = text.encode(`here is write ${++count} ${"x".repeat(200)}`);
    const command = { kv: { key: text.encode(`key/${count}`), value } };
    expect(await servers[0]!.apply(command, 20_000)).toBe(true);
  }
}

async function expectEqual(): Promise<void> {
  await settled(servers);
  const contents = servers.map((server) => contentOf(stateFileOf(server)));
  for (const { keys, rows } of contents) {
    expect(keys.size).toBe(count);
    expect(rows).toBe(contents[0]!.rows);
  }
}

/** One that follows, stopped. */
async function stoppedFollower(): Promise<DiskServer> {
  for (const server of servers.slice(1)) {
    const stats = await server.stats();
    if (stats?.state !== "Follower") continue;
    await server.kill();
    return server;
  }
  throw new Error("both lead");
}

/** All of it in the one file, so that a damaged page is the one that is read. */
function checkpoint(file: string): void {
  const db = new Database(file);
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  db.close();
}

/** Turns one bit of the first place in the file that holds the text. */
function flip(file: string, wanted: string): void {
  const at = readFileSync(file).indexOf(wanted);
  if (at < 0) throw new Error(`no "${wanted}" in ${file}`);
  const fd = openSync(file, "r+");
  writeSync(fd, text.encode(String.fromCharCode(wanted.charCodeAt(0) ^ 1)), 0, 1, at);
  closeSync(fd);
}

test("an entry of the log with a flipped bit is named, and sent again", async () => {
  await write(20);
  await settled(servers);
  const victim = await stoppedFollower();
  const file = join(victim.raftFolder, "log.db");
  checkpoint(file);
  flip(file, "here is write 15 ");
  await write(5);
  victim.start();
  await write(1);
  await expectEqual();
  expect(victim.log).toMatch(/log\.db is damaged/);
  expect(victim.log).toMatch(/"firstIndex":\d+/);
}, 60_000);

test("a torn write-ahead log ends where it is torn", async () => {
  await write(20);
  const victim = await stoppedFollower();
  const wal = join(victim.raftFolder, "log.db-wal");
  const { size } = statSync(wal);
  expect(size).toBeGreaterThan(10_000);
  truncateSync(wal, size - 3_000);
  victim.start();
  await write(5);
  await expectEqual();
}, 60_000);

test("a state file that is none any more is named, and sent again", async () => {
  await write(100);
  await settled(servers);
  const victim = await stoppedFollower();
  await write(100);
  checkpoint(stateFileOf(victim));
  const fd = openSync(stateFileOf(victim), "r+");
  writeSync(fd, new Uint8Array(4_096), 0, 4_096, 0);
  closeSync(fd);
  victim.start();
  await write(1);
  await expectEqual();
  expect(victim.log).toMatch(/the state file is damaged/);
}, 60_000);

test("a server whose files are sound names no damage", () => {
  expect(servers[0]!.log).not.toMatch(/damaged/);
});
