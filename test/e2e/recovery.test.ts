// Three servers of which two, or one, are lost for good: what is left goes on by peers.json.

import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loopbackNet, TestNode, until } from "./node.ts";

interface Three {
  servers: [TestNode, TestNode, TestNode];
  /** One more that knows the first. */
  fresh: TestNode;
}

const made: TestNode[] = [];

async function threeServers(): Promise<Three> {
  const net = loopbackNet();
  const addresses = [net(1), net(2), net(3)];
  const servers = addresses.map((address, n) =>
    new TestNode({
      name: `server-${n + 1}`,
      address,
      bootstrapExpect: 3,
      retryJoin: addresses,
      // What is lost must stay in the configuration until peers.json takes it out.
      config: {
        performance: { rpc_hold_timeout: "1s" },
        autopilot: { cleanup_dead_servers: false },
      },
    })
  ) as Three["servers"];
  const fresh = new TestNode({ name: "server-4", address: net(4), retryJoin: [net(1)] });
  made.push(...servers, fresh);
  for (const node of servers) node.start();
  await Promise.all(servers.map((node) => node.ready()));
  return { servers, fresh };
}

afterAll(() => Promise.all(made.map((node) => node.remove())), 60_000);

async function putKeys(nodes: readonly TestNode[], from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n++) {
    await nodes[n % nodes.length]!.put(`/v1/kv/kept/${n}`, String(n));
  }
}

async function hasKeys(node: TestNode, count: number): Promise<void> {
  await until(`${node.name} has all`, 20_000, async () => {
    const keys = await node.fetch("/v1/kv/kept/?keys&stale");
    return keys.ok && (await keys.json() as string[]).length === count;
  });
}

async function noLeader(node: TestNode): Promise<void> {
  await until("no leader is left", 20_000, async () => {
    const write = await node.fetch("/v1/kv/none", { method: "PUT", body: "x" });
    return write.status === 500;
  });
}

/** On a server that is stopped. */
function writePeers(node: TestNode, peers: readonly TestNode[]): string {
  const list = peers.map((peer) => {
    const id = readFileSync(join(peer.folder, "data/node-id"), "utf8").trim();
    return { id, address: `${peer.address}:8300` };
  });
  const file = join(node.folder, "data/raft/peers.json");
  writeFileSync(file, JSON.stringify(list));
  return file;
}

async function members(node: TestNode): Promise<string[]> {
  const { Servers } = await node.json<{ Servers: { Node: string }[] }>(
    "/v1/operator/raft/configuration",
  );
  return Servers.map((server) => server.Node).sort();
}

test("two of three servers lost: peers.json makes the last one a cluster", async () => {
  const { servers, fresh } = await threeServers();
  const [last, ...lost] = servers;
  await putKeys(servers, 0, 20);
  await hasKeys(last, 20);
  await Promise.all(lost.map((node) => node.killAll()));
  await noLeader(last);
  expect(existsSync(join(last.folder, "data/raft/peers.info"))).toBe(true);
  await last.killAll();

  const peersFile = writePeers(last, [last]);
  last.start();
  await last.ready();
  expect(existsSync(peersFile)).toBe(false);
  expect((await last.json<string[]>("/v1/kv/kept/?keys")).length).toBe(20);
  expect(await last.put("/v1/kv/after", "x")).toBe("true");
  expect(await members(last)).toEqual(["server-1"]);

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

test(
  "one of three lost for good: peers.json makes the two others a cluster with all data",
  async () => {
    const { servers } = await threeServers();
    const [ahead, behind, lost] = servers;
    await putKeys(servers, 0, 20);
    await hasKeys(behind, 20);
    // What was acknowledged without it is only with one of the two that remain.
    await behind.killAll();
    await putKeys([ahead, lost], 20, 20);
    await hasKeys(ahead, 40);
    await lost.remove();
    await noLeader(ahead);
    await ahead.killAll();

    const survivors = [ahead, behind];
    const files = survivors.map((node) => writePeers(node, survivors));
    for (const node of survivors) node.start();
    await Promise.all(survivors.map((node) => node.ready()));
    expect(files.map((file) => existsSync(file))).toEqual([false, false]);
    for (const node of survivors) {
      expect((await node.json<string[]>("/v1/kv/kept/?keys&consistent")).length).toBe(40);
      expect(await node.put(`/v1/kv/by-${node.name}`, "x")).toBe("true");
      expect(await members(node)).toEqual(["server-1", "server-2"]);
    }
    const rows = survivors.map(async (node) => await (await node.fetch("/v1/kv/?recurse")).text());
    const [first, second] = await Promise.all(rows);
    expect(first).toBe(second!);
    // Each of the two is needed from now on.
    await behind.killAll();
    await noLeader(ahead);
    behind.start();
    await behind.ready();
    expect(await ahead.put("/v1/kv/together", "x")).toBe("true");
  },
  150_000,
);
