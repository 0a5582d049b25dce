// A disk that stands still under the leader: for some seconds that costs no leadership, for longer the
// leader hands over and the others go on. The log writer of a real raftd waits before each commit.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { contentOf, settled, stateFileOf } from "./disk/model.ts";
import { type DiskServer, diskServers } from "./disk/server.ts";
import { until } from "./node.ts";

// Elections of a busy machine must not look like those of a slow disk.
const servers = diskServers(3, { performance: { raft_multiplier: 4, rpc_hold_timeout: "30s" } });
const text = new TextEncoder();
const set = (server: DiskServer, key: string, timeoutMs = 5_000) =>
  server.apply({ kv: { key: text.encode(key), value: text.encode(key) } }, timeoutMs);

beforeAll(async () => {
  for (const server of servers) server.start();
  await settled(servers);
}, 60_000);
afterAll(() => Promise.all(servers.map((server) => server.remove())), 30_000);

async function leader(): Promise<{ server: DiskServer; term: number }> {
  let found: { server: DiskServer; term: number } | undefined;
  await until("there is a leader", 30_000, async () => {
    for (const server of servers) {
      const stats = await server.stats();
      if (stats?.state === "Leader") found = { server, term: stats.term };
    }
    return found !== undefined;
  });
  return found!;
}

test("3 s cost nothing but the time", async () => {
  const before = await leader();
  writeFileSync(before.server.stallFile, "");
  let isDone = false;
  const written = set(before.server, "short", 30_000).finally(() => isDone = true);
  await Bun.sleep(3_000);
  expect(isDone).toBe(false);
  rmSync(before.server.stallFile);
  expect(await written).toBe(true);
  expect(await leader()).toEqual(before);
}, 60_000);

test("a stall that lasts hands the lead over, and nothing is lost", async () => {
  const before = await leader();
  const others = servers.filter((server) => server !== before.server);
  writeFileSync(before.server.stallFile, "");
  // Something for the disk to be late with; it may be done by the others or never.
  const open = set(before.server, "open", 60_000).catch(() => false);
  await until("another server leads", 30_000, async () => {
    const stats = await Promise.all(others.map((server) => server.stats()));
    return stats.some((one) => one?.state === "Leader");
  }, () => before.server.log.slice(-3_000));
  expect(await set(others[0]!, "meanwhile", 20_000)).toBe(true);
  expect((await before.server.stats())!.state).toBe("Follower");
  rmSync(before.server.stallFile);
  await open;
  expect(await set(before.server, "afterwards", 20_000)).toBe(true);
  await settled(servers);
  const contents = servers.map((server) => contentOf(stateFileOf(server)));
  for (const { keys, rows } of contents) {
    expect([...keys.keys()]).toEqual(expect.arrayContaining(["short", "meanwhile", "afterwards"]));
    expect(rows).toBe(contents[0]!.rows);
  }
}, 120_000);
