// Who else may be in a node's LAN pool: a stock Serf agent is a guest, seen but no node of the
// catalog; a copy of a node's ID is refused. Needs Debian's package `serf`.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Folder, SerfAgent } from "../compat/gossip/agents.ts";
import { Cluster, curia, said, serfHealth } from "./cluster.ts";
import { TestNode, until } from "./node.ts";

setDefaultTimeout(120_000);

const cluster = new Cluster({ servers: 1, clients: 1 });
const [server] = cluster.servers as [TestNode];
const [client] = cluster.clients as [TestNode];
const folder = new Folder();
const others: TestNode[] = [];
let serf: SerfAgent;

beforeAll(async () => {
  await cluster.start();
  const args = ["-tag=role=web", "-tag=dc=dc1"];
  serf = await SerfAgent.start("guest", folder, { args });
}, 120_000);
afterAll(async () => {
  await serf?.stop();
  await Promise.all([cluster.remove(), ...others.map((node) => node.remove())]);
  folder.remove();
}, 60_000);

const rowOf = async (asked: TestNode, name: string) => {
  const lines = (await said(asked, "members")).split("\n").map((line) => line.trim().split(/  +/));
  return lines.find(([node]) => node === name);
};

test("a Serf agent joins: every node sees it, and it sees every node", async () => {
  const { code, out } = await serf.run("join", `${server.address}:8301`);
  expect([code, out]).toEqual([0, "Successfully joined cluster by contacting 1 nodes.\n"]);
  for (const node of cluster.nodes) {
    await until(
      `${node.name} sees it`,
      60_000,
      async () => (await rowOf(node, "guest"))?.[2] === "alive",
    );
  }
  expect(await rowOf(client, "guest")).toEqual([
    "guest",
    `127.0.0.1:${serf.port}`,
    "alive",
    "unknown",
    "unknown",
    "dc1",
    "default",
    "<default>",
  ]);
  await until("it sees both nodes", 60_000, async () => {
    const seen = await serf.members();
    return seen.get(server.name) === "alive" && seen.get(client.name) === "alive";
  });
  expect((await serf.tags(server.name))["role"]).toBe("consul");
});

test("the guest is no node of the catalog", async () => {
  // A member that comes later is brought in: by then the leader has looked at the guest too.
  await client.kill("gossipd");
  await server.put("/v1/kv/barrier", "x");
  const later = cluster.node(7, false);
  others.push(later);
  await later.start().ready();
  await until(
    "the later node is in the catalog",
    60_000,
    async () => (await serfHealth(server, later.name))?.Status === "passing",
  );
  const nodes = await server.json<{ Node: string }[]>("/v1/catalog/nodes");
  expect(nodes.map(({ Node }) => Node).sort()).toEqual([client.name, later.name, server.name]);
});

test("user events reach the guest under Consul's name", async () => {
  await said(client, "event", "-name=deploy", "v7");
  await until("the guest has it", 60_000, () => serf.log.includes("consul:event:deploy"));
});

test("a killed guest is failed, and can be forced to leave", async () => {
  serf.kill();
  await until("it is failed", 90_000, async () => (await rowOf(client, "guest"))?.[2] === "failed");
  await said(server, "force-leave", "-prune", "guest");
  await until("it is forgotten", 60_000, async () => await rowOf(client, "guest") === undefined);
});

test("a copy of a live node's ID is refused with a message that says so", async () => {
  const { Config } = await client.json<{ Config: { NodeID: string } }>("/v1/agent/self");
  const copy = new TestNode({
    name: "copy",
    address: cluster.net(8),
    server: false,
    retryJoin: [client.address],
    config: { node_id: Config.NodeID },
  });
  others.push(copy);
  copy.start();
  const conflict = new RegExp(`conflicting node ID '${Config.NodeID}' with this agent's ID`);
  await until(
    "the copy is told",
    60_000,
    () => conflict.test(copy.log) || conflict.test(client.log),
  );
  const joined = await curia(client, "join", copy.address);
  expect([joined.status, joined.err]).toEqual([1, expect.stringMatching(conflict)]);
  // Through a server that does not have that ID itself it is seen, but never takes the row.
  await curia(server, "join", copy.address);
  await until(
    "the server refuses it, or has never seen it",
    60_000,
    async () =>
      /is kept out of the catalog/.test(server.log) || await rowOf(server, "copy") === undefined,
  );
  const nodes = await server.json<{ Node: string; ID: string }[]>("/v1/catalog/nodes");
  const holders = nodes.filter(({ ID }) => ID === Config.NodeID).map(({ Node }) => Node);
  expect(holders).toEqual([client.name]);
});

/** A Serf agent that calls itself a server of Consul's. */
function consulServer(name: string): Promise<SerfAgent> {
  const tags = {
    role: "consul",
    dc: "dc1",
    id: crypto.randomUUID(),
    vsn: "2",
    vsn_min: "2",
    vsn_max: "3",
    raft_vsn: "3",
    build: "1.21.0:4e96098f",
    port: "8300",
    expect: "3",
  };
  const args = Object.entries(tags).map(([tag, value]) => `-tag=${tag}=${value}`);
  return SerfAgent.start(name, folder, { args });
}

test("a Consul server is kept out, unless it is to be observed", async () => {
  const theirs = await consulServer("theirs");
  try {
    const refused = await curia(server, "join", `127.0.0.1:${theirs.port}`);
    expect([refused.status, refused.err]).toEqual([
      1,
      expect.stringContaining("'theirs' is a Consul server; set migration.observe"),
    ]);
    expect(await rowOf(server, "theirs")).toBeUndefined();
  } finally {
    await theirs.stop();
  }

  const other = await consulServer("theirs");
  try {
    const observer = new TestNode({
      name: "observer",
      address: cluster.net(20),
      bootstrapExpect: 1,
      retryJoin: [`127.0.0.1:${other.port}`],
      config: { migration: { observe: true } },
    });
    others.push(observer);
    await observer.start().ready();
    await until(
      "it sees the other",
      60_000,
      async () => (await rowOf(observer, "theirs"))?.slice(2, 4).join() === "alive,server",
    );
    expect(await observer.put("/v1/kv/alone", "x")).toBe("true");
    await until(
      "the other is a node of the catalog",
      60_000,
      async () => (await serfHealth(observer, "theirs"))?.Status === "passing",
    );
    const servers = await observer.json<{ Node: string }[]>("/v1/catalog/service/consul");
    expect(servers.map(({ Node }) => Node)).toEqual(["observer"]);
    expect(await said(observer, "operator", "raft", "list-peers")).not.toContain("theirs");
  } finally {
    await other.stop();
  }
});
