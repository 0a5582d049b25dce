// Who is there, as the catalog tells it: a node that dies, one that leaves, a checkd that is away,
// a server more, and another leader.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster, said, serfHealth } from "./cluster.ts";
import { type TestNode, until } from "./node.ts";

const probeIntervalMs = 500;
/** Suspicion lasts at most 6 × 4 × the probe interval for so few nodes; then a round of probes, the
 *  telling, and a machine that is busy with other tests. */
const suspicionMaxMs = 24 * probeIntervalMs + 20_000;

const cluster = new Cluster({
  servers: 3,
  clients: 2,
  config: {
    gossip_lan: { probe_interval: `${probeIntervalMs}ms`, probe_timeout: "300ms" },
    checkd_absence_timeout: "3s",
    autopilot: { server_stabilization_time: "3s", cleanup_dead_servers: false },
  },
});
const [server] = cluster.servers as [TestNode];
const [staying, leaving] = cluster.clients as [TestNode, TestNode];

beforeAll(() => cluster.start(), 120_000);
afterAll(() => cluster.remove(), 60_000);

async function isHealth(name: string, status: string, timeoutMs: number): Promise<void> {
  let last = "";
  await until(`serfHealth of ${name} is ${status}`, timeoutMs, async () => {
    const row = await serfHealth(server, name);
    last = JSON.stringify(row);
    return row?.Status === status;
  }, () => last);
}

/** What `members` shows; the server that is asked may hear of it after the leader. */
async function isMember(name: string, status: string): Promise<void> {
  let text = "";
  await until(`${name} is ${status} among the members`, 20_000, async () => {
    text = await said(server, "members");
    return new RegExp(`^${name} +\\S+ +${status} `, "m").test(text);
  }, () => text);
}

test("a node that is killed turns critical, and passing when it is back", async () => {
  await isHealth(staying.name, "passing", 20_000);
  const startedMs = performance.now();
  await staying.killAll();
  await isHealth(staying.name, "critical", suspicionMaxMs);
  console.log(`critical ${Math.round(performance.now() - startedMs)} ms after the kill`);
  expect((await serfHealth(server, staying.name))!.Output).toBe("Agent not live or unreachable");
  await isMember(staying.name, "failed");
  staying.start();
  await isHealth(staying.name, "passing", 40_000);
  expect((await serfHealth(server, staying.name))!.Output).toBe("Agent alive and reachable");
}, 120_000);

test("a checkd that hangs turns its node critical by name, until it is back", async () => {
  const pid = await staying.pidOf("checkd");
  process.kill(pid, "SIGSTOP");
  try {
    await isHealth(staying.name, "critical", 30_000);
    expect((await serfHealth(server, staying.name))!.Output).toContain("checkd");
    // Gossip itself is well: this is not a dead node.
    await isMember(staying.name, "alive");
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await isHealth(staying.name, "passing", 30_000);
}, 90_000);

test("a client that leaves is out of the catalog with its services", async () => {
  await leaving.put("/v1/agent/service/register", { Name: "going", Port: 80 });
  const instances = async () => (await server.json<unknown[]>("/v1/catalog/service/going")).length;
  await until("its service is in the catalog", 20_000, async () => (await instances()) === 1);
  expect(await said(leaving, "leave")).toContain("Graceful leave complete");
  await until("the node is out of the catalog", 30_000, async () => {
    const nodes = await server.json<{ Node: string }[]>("/v1/catalog/nodes");
    return !nodes.some(({ Node }) => Node === leaving.name);
  });
  expect(await instances()).toBe(0);
  await isMember(leaving.name, "left");
}, 90_000);

interface Peer {
  id: string;
  node: string;
  state: string;
  isVoter: boolean;
}

/** What `operator raft list-peers` shows, once it shows as many. */
async function peers(count: number): Promise<Peer[]> {
  let rows: Peer[] = [];
  await until(`${count} servers are listed`, 30_000, async () => {
    const text = await said(server, "operator", "raft", "list-peers");
    rows = text.trim().split("\n").slice(1).map((line) => {
      const [node, id, , state, isVoter] = line.split(/\s\s+/) as [string, ...string[]];
      return { node, id: id!, state: state!, isVoter: isVoter === "true" };
    });
    return rows.length === count;
  }, () => JSON.stringify(rows));
  return rows;
}

test("leadership moves to the server that is named", async () => {
  const follower = (await peers(3)).find(({ state }) => state === "follower")!;
  await said(server, "operator", "raft", "transfer-leader", `-id=${follower.id}`);
  await until("the named server leads", 20_000, async () => {
    return (await peers(3)).some(({ id, state }) => id === follower.id && state === "leader");
  });
  expect(await server.put("/v1/kv/after-transfer", "x")).toBe("true");
}, 60_000);

test("a fourth server joins as a non-voter and is promoted", async () => {
  const fourth = cluster.node(9, true);
  try {
    await fourth.start().ready();
    const joined = (await peers(4)).find(({ node }) => node === fourth.name)!;
    expect(joined.state).toBe("follower");
    // With a stabilisation time it has to wait; how long it was seen waiting depends on the machine.
    await until("it votes", 40_000, async () => {
      return (await peers(4)).every(({ isVoter }) => isVoter);
    });
    expect(fourth.log).toContain("raft configuration");
    await server.put("/v1/kv/four", "4");
    const read = await fourth.fetch("/v1/kv/four?raw&consistent");
    expect(await read.text()).toBe("4");
    // It goes for good, without taking the lead for that, and is out of the configuration.
    const timesLed = () => fourth.log.split("role=leader").length;
    const ledBefore = timesLed();
    await said(fourth, "leave");
    const left = await peers(3);
    expect(timesLed()).toBe(ledBefore);
    expect(left.map(({ node }) => node).sort())
      .toEqual(["server-1", "server-2", "server-3"]);
  } finally {
    await fourth.remove();
  }
}, 120_000);

test("a server that is stopped without leaving stays a peer and catches up", async () => {
  const stopped = cluster.servers[2]!;
  await stopped.stop();
  await server.put("/v1/kv/while-away", "1");
  expect((await peers(3)).map(({ node }) => node)).toContain(stopped.name);
  stopped.start();
  await stopped.ready();
  await until("it has what was written meanwhile", 20_000, async () => {
    const read = await stopped.fetch("/v1/kv/while-away?raw&stale");
    return await read.text() === "1";
  });
  const row = (await peers(3)).find(({ node }) => node === stopped.name)!;
  expect(row.isVoter).toBe(true);
  await isHealth(stopped.name, "passing", 30_000);
}, 90_000);
