// Two datacenters of whole nodes joined over WAN: who is seen where, reads and writes in the other
// datacenter from a server and from a client, and who may not enter a pool.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { curia, said } from "./cluster.ts";
import { loopbackNet, TestNode, until } from "./node.ts";

setDefaultTimeout(120_000);

const net = loopbackNet();
const key = Buffer.alloc(32, 1).toString("base64");
const config = (datacenter: string) => ({ datacenter, encrypt: key });
const server1 = new TestNode({
  name: "server-1",
  address: net(1),
  bootstrapExpect: 1,
  config: config("dc1"),
});
const client1 = new TestNode({
  name: "client-1",
  address: net(2),
  server: false,
  retryJoin: [net(1)],
  config: config("dc1"),
});
const server2 = new TestNode({
  name: "server-2",
  address: net(3),
  bootstrapExpect: 1,
  config: { ...config("dc2"), retry_join_wan: [net(1)], retry_interval_wan: "1s" },
});
const foreign = new TestNode({
  name: "foreign",
  address: net(4),
  server: false,
  retryJoin: [net(1)],
  config: config("dc2"),
});
const nodes = [server1, client1, server2];

beforeAll(async () => {
  for (const node of nodes) node.start();
  await Promise.all(nodes.map((node) => node.ready()));
  for (const server of [server1, server2]) {
    await until(
      `${server.name} sees both datacenters`,
      30_000,
      async () => Object.keys(await wan(server)).length === 2,
    );
  }
}, 120_000);
afterAll(() => Promise.all([...nodes, foreign].map((node) => node.remove())), 60_000);

interface Member {
  Name: string;
  Status: number;
  Tags: Record<string, string>;
}

async function wan(asked: TestNode): Promise<Record<string, number>> {
  const members = await asked.json<Member[]>("/v1/agent/members?wan=1");
  return Object.fromEntries(members.map(({ Name, Status }) => [Name, Status]));
}

test("the WAN pool has the servers of both, under their datacenters' names", async () => {
  for (const server of [server1, server2]) {
    expect(await wan(server)).toEqual({ "server-1.dc1": 1, "server-2.dc2": 1 });
  }
  const lines = (await said(server2, "members", "-wan")).trimEnd().split("\n")
    .map((line) => line.split(/  +/));
  expect(
    lines.slice(1).map((
      [name, address, status, type, , , dc],
    ) => [name, address, status, type, dc]),
  ).toEqual([
    ["server-1.dc1", `${net(1)}:8302`, "alive", "server", "dc1"],
    ["server-2.dc2", `${net(3)}:8302`, "alive", "server", "dc2"],
  ]);
});

test("a server is joined to the WAN pool by hand, a client is not", async () => {
  expect(await said(server1, "join", "-wan", net(3))).toBe(
    "Successfully joined cluster by contacting 1 nodes.\n",
  );
  const refused = await curia(client1, "join", "-wan", net(3));
  expect([refused.status, refused.err]).toEqual([
    1,
    expect.stringContaining("Must be a server with WAN gossip enabled"),
  ]);
});

test("datacenters are known on servers and on clients, nearest first", async () => {
  expect(await server1.json<string[]>("/v1/catalog/datacenters")).toEqual(["dc1", "dc2"]);
  expect(await client1.json<string[]>("/v1/catalog/datacenters")).toEqual(["dc1", "dc2"]);
  expect(await server2.json<string[]>("/v1/catalog/datacenters")).toEqual(["dc2", "dc1"]);
  expect(await said(client1, "catalog", "datacenters")).toBe("dc1\ndc2\n");
});

for (const asked of [server1, client1]) {
  test(`${asked.name} reads and writes keys of dc2`, async () => {
    const path = `/v1/kv/from-${asked.name}`;
    expect(await asked.put(`${path}?dc=dc2`, "there")).toBe("true");
    expect((await asked.fetch(path)).status).toBe(404);
    for (const at of [`${asked.http}${path}?dc=dc2&raw`, `${server2.http}${path}?raw`]) {
      const response = await fetch(at);
      expect([at, response.status, await response.text()]).toEqual([at, 200, "there"]);
    }
    // A blocking read waits in the other datacenter.
    const first = await asked.fetch(`${path}?dc=dc2`);
    const index = first.headers.get("X-Consul-Index")!;
    const waiting = asked.fetch(`${path}?dc=dc2&raw&index=${index}&wait=30s`);
    await server2.put(path, "changed");
    expect(await (await waiting).text()).toBe("changed");
    expect(await said(asked, "kv", "get", "-datacenter=dc2", `from-${asked.name}`)).toBe(
      "changed\n",
    );
    expect((await asked.fetch(`${path}?dc=dc2`, { method: "DELETE" })).status).toBe(200);
    expect((await server2.fetch(path)).status).toBe(404);
  });

  test(`${asked.name} reads and writes the catalog of dc2`, async () => {
    const node = `outside-${asked.name}`;
    const service = { Service: "far", Port: 80 };
    await asked.put("/v1/catalog/register", {
      Datacenter: "dc2",
      Node: node,
      Address: "10.2.2.2",
      Service: service,
    });
    const names = async (url: string) => {
      const rows = await asked.json<{ Node: string; Datacenter?: string }[]>(url);
      return rows.map(({ Node }) => Node);
    };
    expect(await names("/v1/catalog/nodes?dc=dc2")).toContain(node);
    expect(await names("/v1/catalog/nodes?dc=dc2")).toContain("server-2");
    expect(await names("/v1/catalog/nodes")).not.toContain(node);
    expect(await names("/v1/catalog/service/far?dc=dc2")).toEqual([node]);
    expect(await names("/v1/catalog/service/far")).toEqual([]);
    const health = await asked.json<{ Node: { Datacenter: string } }[]>(
      "/v1/health/service/far?dc=dc2",
    );
    expect(health.map(({ Node }) => Node.Datacenter)).toEqual(["dc2"]);
    const leader = await asked.json<string>("/v1/status/leader?dc=dc2");
    expect(leader).toBe(`${net(3)}:8300`);
    await asked.put("/v1/catalog/deregister", { Datacenter: "dc2", Node: node });
    expect(await names("/v1/catalog/service/far?dc=dc2")).toEqual([]);
  });
}

test("the keys of every datacenter are seen and changed from a client", async () => {
  const fresh = (await said(client1, "keygen")).trim();
  const listed = (keys: string[]) => {
    const pool = (name: string, nodes: number) =>
      `\n${name}:\n${keys.toSorted().map((one) => `  ${one} [${nodes}/${nodes}]\n`).join("")}`;
    return "==> Gathering installed encryption keys...\n" + pool("WAN", 2) + pool("dc1 (LAN)", 2) +
      pool("dc2 (LAN)", 1);
  };
  expect(await said(client1, "keyring", "-list")).toBe(listed([key]));
  await said(client1, "keyring", `-install=${fresh}`);
  expect(await said(client1, "keyring", "-list")).toBe(listed([key, fresh]));
  await said(client1, "keyring", `-remove=${fresh}`);
  expect(await said(server2, "keyring", "-list-primary")).toContain(`dc1 (LAN):\n  ${key} [2/2]\n`);
});

test("a user event is fired in the other datacenter and stays there", async () => {
  interface Event {
    Name: string;
  }
  const names = async (node: TestNode) =>
    (await node.json<Event[]>("/v1/event/list")).map(({ Name }) => Name);
  const fired = await client1.fetch("/v1/event/fire/remote?dc=dc2", { method: "PUT" });
  expect([fired.status, await fired.json()]).toEqual([200, expect.objectContaining({ LTime: 0 })]);
  await until("dc2 has it", 20_000, async () => (await names(server2)).includes("remote"));
  expect(await names(server1)).toEqual([]);
});

test("an unknown datacenter has no path", async () => {
  for (const asked of nodes) {
    const response = await asked.fetch("/v1/catalog/nodes?dc=nowhere");
    expect([asked.name, response.status, await response.text()]).toEqual([
      asked.name,
      500,
      "No path to datacenter",
    ]);
  }
});

test("round trips between datacenters are estimated, from a client too", async () => {
  interface Area {
    Datacenter: string;
    Coordinates: { Node: string }[];
  }
  await until("both servers' coordinates are known", 60_000, async () => {
    const areas = await client1.json<Area[]>("/v1/coordinate/datacenters");
    return areas.length === 2;
  });
  expect(await said(client1, "rtt", "-wan", "server-1.dc1", "server-2.dc2")).toMatch(
    /^Estimated server-1\.dc1 <-> server-2\.dc2 rtt: .* ms \(using WAN coordinates\)\n$/,
  );
});

test("a client of another datacenter cannot enter", async () => {
  foreign.start();
  await until(
    "its gossip was refused",
    60_000,
    () =>
      /part of wrong datacenter/.test(foreign.logFile === "" ? "" : foreign.log) ||
      /part of wrong datacenter/.test(server1.log),
  );
  const joined = await curia(server1, "join", foreign.address);
  expect([joined.status, joined.err]).toEqual([1, expect.stringContaining("wrong datacenter")]);
  for (const node of [server1, client1]) {
    const members = await node.json<Member[]>("/v1/agent/members");
    expect(members.map(({ Name }) => Name).sort()).toEqual(["client-1", "server-1"]);
  }
  const catalog = await server1.json<{ Node: string }[]>("/v1/catalog/nodes");
  expect(catalog.map(({ Node }) => Node).sort()).toEqual(["client-1", "server-1"]);
});

test("a server that is gone takes its datacenter's path with it, and brings it back", async () => {
  await server2.killAll();
  await until(
    "it is failed in the WAN pool",
    90_000,
    async () => (await wan(server1))["server-2.dc2"] === 4,
  );
  const response = await client1.fetch("/v1/catalog/nodes?dc=dc2");
  expect([response.status, await response.text()]).toEqual([500, "No path to datacenter"]);
  server2.start();
  await server2.ready();
  await until("it is back", 90_000, async () => (await wan(server1))["server-2.dc2"] === 1);
  await until(
    "it is reached",
    30_000,
    async () => (await client1.fetch("/v1/catalog/nodes?dc=dc2")).status === 200,
  );
});

test("a server that leaves has left both pools, and its datacenter is forgotten", async () => {
  expect(await said(server2, "leave")).toBe("Graceful leave complete\n");
  await until(
    "it has left the WAN pool",
    60_000,
    async () => (await wan(server1))["server-2.dc2"] === 3,
  );
  expect(await client1.json<string[]>("/v1/catalog/datacenters")).toEqual(["dc1"]);
  await said(server1, "force-leave", "-wan", "-prune", "server-2.dc2");
  await until(
    "the WAN pool has forgotten it",
    30_000,
    async () => Bun.deepEquals(await wan(server1), { "server-1.dc1": 1 }),
  );
});
