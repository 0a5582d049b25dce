// A LAN pool of whole nodes that know each other by IPv6 alone: all bind ::1, told apart by their
// ports. Only their HTTP listens on IPv4, where each has an address of its own.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { createServer } from "node:net";
import { said, serfHealth } from "./cluster.ts";
import { loopbackNet, TestNode, until } from "./node.ts";

setDefaultTimeout(120_000);

const net = loopbackNet();
let nodes: TestNode[] = [];
let server: TestNode;
let client: TestNode;
let victim: TestNode;
const serfPorts: number[] = [];

/** Held together, so that they differ. */
async function freePorts(count: number): Promise<number[]> {
  const held = await Promise.all(Array.from({ length: count }, () => {
    const holder = createServer();
    return new Promise<typeof holder>((resolve, reject) => {
      holder.once("error", (error) => {
        reject(new Error(`These tests need IPv6 on the loopback interface: ${error.message}`));
      });
      holder.listen({ host: "::1", port: 0, ipv6Only: true }, () => resolve(holder));
    });
  }));
  const ports = held.map((holder) => (holder.address() as { port: number }).port);
  await Promise.all(held.map((holder) => new Promise((resolve) => holder.close(resolve))));
  return ports;
}

async function nodeOf(name: string, isServer: boolean): Promise<TestNode> {
  const [rpc, lan, wan] = await freePorts(3) as [number, number, number];
  serfPorts.push(lan);
  return new TestNode({
    name,
    address: net(serfPorts.length),
    server: isServer,
    bootstrapExpect: isServer ? 1 : undefined,
    retryJoin: [`[::1]:${serfPorts[0]}`],
    config: { bind_addr: "::1", ports: { server: rpc, serf_lan: lan, serf_wan: wan } },
  });
}

beforeAll(async () => {
  server = await nodeOf("server", true);
  client = await nodeOf("client", false);
  victim = await nodeOf("victim", false);
  nodes = [server, client, victim];
  for (const node of nodes) node.start();
  await Promise.all(nodes.map((node) => node.ready()));
}, 120_000);
afterAll(() => Promise.all(nodes.map((node) => node.remove())), 60_000);

const statusesAt = async (asked: TestNode, query = "") => {
  const path = `/v1/agent/members${query}`;
  const members = await asked.json<{ Name: string; Addr: string; Status: number }[]>(path);
  return Object.fromEntries(members.map(({ Name, Addr, Status }) => [Name, `${Addr} ${Status}`]));
};
const all = { server: "::1 1", client: "::1 1", victim: "::1 1" };

test("all see all at ::1, by the ports they have", async () => {
  for (const node of nodes) {
    await until(
      `${node.name} sees all`,
      60_000,
      async () => Bun.deepEquals(await statusesAt(node), all),
    );
  }
  const rows = (await said(client, "members")).trimEnd().split("\n").slice(1);
  const addresses = rows.map((row) => row.split(/  +/)).map(([name, address]) => [name, address]);
  expect(Object.fromEntries(addresses)).toEqual({
    server: `[::1]:${serfPorts[0]}`,
    client: `[::1]:${serfPorts[1]}`,
    victim: `[::1]:${serfPorts[2]}`,
  });
  expect(await statusesAt(server, "?wan=1")).toEqual({ "server.dc1": "::1 1" });
});

test("they are in the catalog, and writes of a client reach the server", async () => {
  for (const { name } of nodes) {
    await until(
      `${name} is in the catalog`,
      30_000,
      async () => (await serfHealth(server, name))?.Status === "passing",
    );
  }
  const rows = await client.json<{ Node: string; Address: string }[]>("/v1/catalog/nodes");
  expect(rows.map(({ Address }) => Address)).toEqual(["::1", "::1", "::1"]);
  expect(await client.put("/v1/kv/six", "6")).toBe("true");
  expect(await (await server.fetch("/v1/kv/six?raw")).text()).toBe("6");
});

test("a join by hand takes addresses with and without brackets", async () => {
  const joined = "Successfully joined cluster by contacting 1 nodes.\n";
  expect(await said(client, "join", `[::1]:${serfPorts[0]}`)).toBe(joined);
  // Without a port it is the joining node's own, which is on ::1 too.
  expect(await said(client, "join", "::1")).toBe(joined);
});

test("user events cross", async () => {
  await said(client, "event", "-name=six");
  await until("the server has it", 60_000, async () => {
    const events = await server.json<{ Name: string }[]>("/v1/event/list");
    return events.some(({ Name }) => Name === "six");
  });
});

test("who is killed is suspected, found failed, and taken back", async () => {
  await victim.killAll();
  for (const node of [server, client]) {
    await until(
      `${node.name} takes it for failed`,
      60_000,
      async () => (await statusesAt(node))["victim"] === "::1 4",
    );
  }
  await until(
    "its serfHealth is critical",
    30_000,
    async () => (await serfHealth(client, "victim"))?.Status === "critical",
  );
  await victim.start().ready();
  for (const node of nodes) {
    await until(
      `${node.name} sees all again`,
      60_000,
      async () => Bun.deepEquals(await statusesAt(node), all),
    );
  }
});
