// Three servers of which two are lost for good: the last one goes on by peers.json.

import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loopbackNet, TestNode, until } from "./node.ts";

const net = loopbackNet();
const addresses = [net(1), net(2), net(3)];
const servers = addresses.map((address, n) =>
  new TestNode({ name: `server-${n + 1}`, address, bootstrapExpect: 3, retryJoin: addresses })
);
const fresh = new TestNode({ name: "server-4", address: net(4), retryJoin: [net(1)] });

afterAll(() => Promise.all([...servers, fresh].map((node) => node.remove())), 60_000);

test("two of three servers lost: peers.json makes the last one a cluster", async () => {
  const [last, ...lost] = servers as [TestNode, TestNode, TestNode];
  for (const node of servers) node.start();
  await Promise.all(servers.map((node) => node.ready()));
  for (let n = 0; n < 20; n++) await servers[n % 3]!.put(`/v1/kv/kept/${n}`, String(n));
  await until("the last server has all", 10_000, async () => {
    const keys = await last.fetch("/v1/kv/kept/?keys&stale");
    return keys.ok && (await keys.json() as string[]).length === 20;
  });
  await Promise.all(lost.map((node) => node.killAll()));
  await until("no leader is left", 20_000, async () => {
    const write = await last.fetch("/v1/kv/none", { method: "PUT", body: "x" });
    return write.status === 500;
  });
  const folder = join(last.folder, "data/raft");
  expect(existsSync(join(folder, "peers.info"))).toBe(true);
  const id = readFileSync(join(last.folder, "data/node-id"), "utf8").trim();
  await last.killAll();

  const peersFile = join(folder, "peers.json");
  writeFileSync(peersFile, JSON.stringify([{ id, address: `${last.address}:8300` }]));
  last.start();
  await last.ready();
  expect(existsSync(peersFile)).toBe(false);
  const keys = await last.json<string[]>("/v1/kv/kept/?keys");
  expect(keys.length).toBe(20);
  expect(await last.put("/v1/kv/after", "x")).toBe("true");
  const { Servers } = await last.json<{ Servers: { Node: string }[] }>(
    "/v1/operator/raft/configuration",
  );
  expect(Servers.map(({ Node }) => Node)).toEqual(["server-1"]);

  fresh.start();
  await fresh.ready();
  await until("a new server takes part", 30_000, async () => {
    const answer = await fresh.fetch("/v1/kv/after?raw&stale");
    return answer.ok && (await answer.text()) === "x";
  });
  await last.killAll();
  last.start();
  await last.ready();
  expect(await last.put("/v1/kv/after", "restarted")).toBe("true");
}, 150_000);
