// How the leader looks after its servers: health as it is, settings that are replicated, a dead
// server taken out when that is wanted, and one that comes back made a voter again.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster, curia, said } from "./cluster.ts";
import { type TestNode, until } from "./node.ts";

const cluster = new Cluster({
  servers: 3,
  config: {
    gossip_lan: { probe_interval: "300ms", probe_timeout: "200ms" },
    autopilot: { server_stabilization_time: "2s", cleanup_dead_servers: false },
  },
});

beforeAll(() => cluster.start(), 120_000);
afterAll(() => cluster.remove(), 60_000);

interface Health {
  Healthy: boolean;
  FailureTolerance: number;
  Servers: { Name: string; Healthy: boolean; Voter: boolean; SerfStatus: string }[] | null;
}

async function health(node: TestNode): Promise<{ status: number; body: Health }> {
  const response = await node.fetch("/v1/operator/autopilot/health");
  return { status: response.status, body: await response.json() as Health };
}

async function untilHealth(
  node: TestNode,
  what: string,
  isSo: (body: Health, status: number) => boolean,
): Promise<Health> {
  let seen: Awaited<ReturnType<typeof health>> | undefined;
  await until(what, 60_000, async () => {
    seen = await health(node);
    return isSo(seen.body, seen.status);
  }, () => JSON.stringify(seen));
  return seen!.body;
}

async function voters(node: TestNode): Promise<string[]> {
  const { Servers } = await node.json<{ Servers: { Node: string; Voter: boolean }[] }>(
    "/v1/operator/raft/configuration",
  );
  return Servers.filter(({ Voter }) => Voter).map(({ Node }) => Node).sort();
}

test("a dead server is told, stays while it should, and is taken out when it may be", async () => {
  const leader = await cluster.leader();
  const [asked, dead] = cluster.servers.filter((node) => node !== leader) as [TestNode, TestNode];
  const all = cluster.servers.map(({ name }) => name).sort();
  const whole = await untilHealth(
    asked,
    "all are healthy voters",
    (body, status) => status === 200 && body.Healthy && body.Servers?.length === 3,
  );
  expect(whole.FailureTolerance).toBe(1);
  expect(whole.Servers!.every(({ Voter, SerfStatus }) => Voter && SerfStatus === "alive"))
    .toBe(true);

  await dead.killAll();
  const hurt = await untilHealth(asked, "gossip takes it for failed", (body, status) => {
    return status === 429 && !body.Healthy &&
      body.Servers!.some(({ Name, SerfStatus }) => Name === dead.name && SerfStatus === "failed");
  });
  expect(hurt.Servers!.find(({ Name }) => Name === dead.name)!.Healthy).toBe(false);
  expect(hurt.FailureTolerance).toBe(0);
  expect(await said(asked, "operator", "autopilot", "state")).toContain("Healthy");
  expect(await voters(asked)).toEqual(all);

  expect(await said(asked, "operator", "autopilot", "get-config"))
    .toMatch(/^CleanupDeadServers = false$/m);
  await said(asked, "operator", "autopilot", "set-config", "-cleanup-dead-servers=true");
  for (const node of [asked, leader]) {
    expect(await said(node, "operator", "autopilot", "get-config"))
      .toMatch(/^CleanupDeadServers = true$/m);
  }
  const left = all.filter((name) => name !== dead.name);
  await until("it is taken out", 60_000, async () => {
    return JSON.stringify(await voters(asked)) === JSON.stringify(left);
  });
  await asked.put("/v1/kv/by-two", "x");

  dead.start();
  await dead.ready();
  await until("it votes again", 60_000, async () => {
    return JSON.stringify(await voters(asked)) === JSON.stringify(all);
  });
  await untilHealth(asked, "all are healthy again", (body) => body.Healthy);
  expect(await (await dead.fetch("/v1/kv/by-two?raw&consistent")).text()).toBe("x");
}, 180_000);

test.each(["id", "address"])("a dead server is removed by its %s", async (by) => {
  const leader = await cluster.leader();
  const [asked, dead] = cluster.servers.filter((node) => node !== leader) as [TestNode, TestNode];
  await said(asked, "operator", "autopilot", "set-config", "-cleanup-dead-servers=false");
  const { Servers } = await asked.json<
    { Servers: { Node: string; ID: string; Address: string }[] }
  >(
    "/v1/operator/raft/configuration",
  );
  const { ID, Address } = Servers.find(({ Node }) => Node === dead.name)!;
  await dead.killAll();
  // While gossip takes it for alive it would be asked to join again.
  await untilHealth(asked, "gossip takes it for failed", (body) => {
    return body.Servers!.some(({ Name, SerfStatus }) => {
      return Name === dead.name && SerfStatus === "failed";
    });
  });
  await said(asked, "operator", "raft", "remove-peer", `-${by}=${by === "id" ? ID : Address}`);
  expect(await voters(asked)).toEqual([asked.name, leader.name].sort());
  const again = await curia(asked, "operator", "raft", "remove-peer", `-id=${ID}`);
  expect([again.status, again.err]).toEqual([1, expect.stringContaining("not found")]);

  dead.start();
  await dead.ready();
  await until("it votes again", 60_000, async () => (await voters(asked)).length === 3);
}, 120_000);
