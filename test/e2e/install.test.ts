// A server that was away for longer than the log reaches back gets the state itself.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { loopbackNet, TestNode, until } from "./node.ts";

const net = loopbackNet();
const addresses = [net(1), net(2), net(3)];
const config = { raft_snapshot_threshold: 40, raft_trailing_logs: 5 };
const servers = addresses.map((address, n) =>
  new TestNode({
    name: `server-${n + 1}`,
    address,
    bootstrapExpect: 3,
    retryJoin: addresses,
    config,
  })
);

beforeAll(async () => {
  for (const node of servers) node.start();
  await Promise.all(servers.map((node) => node.ready()));
}, 60_000);

afterAll(() => Promise.all(servers.map((node) => node.remove())), 60_000);

test("a server that was away gets the state, before and after a restore", async () => {
  const [one, two, three] = servers as [TestNode, TestNode, TestNode];
  const archive = new Uint8Array(await (await one.fetch("/v1/snapshot")).arrayBuffer());
  for (const isRestored of [false, true]) {
    await three.killAll();
    for (let n = 0; n < 200; n++) await two.put(`/v1/kv/install/${isRestored}/${n}`, String(n));
    if (isRestored) {
      const { status } = await one.fetch("/v1/snapshot", { method: "PUT", body: archive });
      expect(status).toBe(200);
      for (let n = 0; n < 200; n++) await two.put(`/v1/kv/install/after/${n}`, String(n));
    }
    three.start();
    await three.ready();
    const prefix = isRestored ? "after" : "false";
    await until("it has all keys", 20_000, async () => {
      const answer = await three.fetch("/v1/kv/install/?keys&stale");
      if (!answer.ok) return false;
      const keys = await answer.json() as string[];
      return keys.length === 200 && keys.every((key) => key.startsWith(`install/${prefix}/`));
    }, () => three.log.split("\n").slice(-20).join("\n"));
  }
  const files = readdirSync(join(three.folder, "data/raft"));
  expect(files.filter((name) => /^state-\d+\.db$/.test(name))).toHaveLength(1);
  expect(files).not.toContain("state-1.db");
}, 120_000);
