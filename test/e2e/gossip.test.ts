// Membership on whole nodes: one encrypted LAN pool of a server and two clients. What the commands
// print, events with their indexes, keys, coordinates, and a gossipd that is killed unnoticed.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { Cluster, curia, said, serfHealth } from "./cluster.ts";
import { TestNode, until } from "./node.ts";

setDefaultTimeout(120_000);

const key = (fill: number) => Buffer.alloc(32, fill).toString("base64");
const cluster = new Cluster({ servers: 1, clients: 2, config: { encrypt: key(1) } });
const [server] = cluster.servers as [TestNode];
const [near, far] = cluster.clients as [TestNode, TestNode];
/** The pool's key, as it is changed. */
let current = key(1);
let newcomer: TestNode;

beforeAll(() => cluster.start(), 120_000);
afterAll(async () => {
  await Promise.all([cluster.remove(), newcomer?.remove()]);
}, 60_000);

interface Member {
  Name: string;
  Addr: string;
  Port: number;
  Status: number;
  Tags: Record<string, string>;
}

const statuses = async (asked: TestNode, query = "") => {
  const members = await asked.json<Member[]>(`/v1/agent/members${query}`);
  return Object.fromEntries(members.map(({ Name, Status }) => [Name, Status]));
};

test("members are listed as Consul lists them", async () => {
  const lines = (await said(far, "members")).trimEnd().split("\n").map((line) => line.split(/  +/));
  const at = (node: TestNode) => `${node.address}:8301`;
  expect(lines).toEqual([
    ["Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Partition", "Segment"],
    ["server-1", at(server), "alive", "server", "1.21.0", "2", "dc1", "default", "<all>"],
    ["client-2", at(near), "alive", "client", "1.21.0", "2", "dc1", "default", "<default>"],
    ["client-3", at(far), "alive", "client", "1.21.0", "2", "dc1", "default", "<default>"],
  ]);
  expect((await curia(far, "members", "-status=left")).status).toBe(2);
  expect(await statuses(server, "?wan=1")).toEqual({ "server-1.dc1": 1 });
  const refused = await far.fetch("/v1/agent/members?wan=1");
  expect([refused.status, await refused.text()]).toEqual([
    500,
    "Must be a server with WAN gossip enabled",
  ]);
});

interface Event {
  ID: string;
  Name: string;
  Payload: string | null;
  LTime: number;
}

interface Listed {
  index: string;
  events: Event[];
}

async function listed(asked: TestNode, query = ""): Promise<Listed> {
  const response = await asked.fetch(`/v1/event/list${query}`);
  expect(response.status).toBe(200);
  const events = await response.json() as Event[];
  return { index: response.headers.get("X-Consul-Index")!, events };
}

/** Consul makes the index of the newest event's ID: its halves, one laid over the other. */
function indexOf(id: string): string {
  const hex = id.replaceAll("-", "");
  return String(BigInt(`0x${hex.slice(0, 16)}`) ^ BigInt(`0x${hex.slice(16)}`));
}

test("a user event crosses nodes and wakes who waits for it", async () => {
  const before = await listed(far);
  expect(before).toEqual({ index: "1", events: [] });
  const waiting = listed(far, `?index=${before.index}&wait=60s`);
  const printed = await said(near, "event", "-name=deploy", "v1.2.3");
  const id = /^Event ID: (\S+)\n$/.exec(printed)![1]!;
  const woken = await waiting;
  expect(woken.index).toBe(indexOf(id));
  expect(woken.events).toMatchObject([
    { ID: id, Name: "deploy", Payload: Buffer.from("v1.2.3").toString("base64") },
  ]);
  expect(woken.events[0]!.LTime).toBeGreaterThan(0);
  // An index that is not the newest one's is answered at once; so is a filter by name.
  expect((await listed(far, "?index=1&wait=60s")).events.length).toBe(1);
  expect((await listed(far, "?name=other")).events).toEqual([]);
  const quiet = performance.now();
  expect((await listed(far, `?index=${woken.index}&wait=300ms`)).index).toBe(woken.index);
  expect(performance.now() - quiet).toBeGreaterThan(290);
});

test("an event meant for one node reaches only that one", async () => {
  await near.put("/v1/event/fire/only?node=client-3", "x");
  await near.put("/v1/event/fire/everyone");
  const names = async (node: TestNode) => (await listed(node)).events.map(({ Name }) => Name);
  for (const node of cluster.nodes) {
    await until(
      `${node.name} has it`,
      20_000,
      async () => (await names(node)).includes("everyone"),
    );
  }
  expect(await names(far)).toEqual(["deploy", "only", "everyone"]);
  expect(await names(server)).toEqual(["deploy", "everyone"]);
  const refused = await curia(near, "event", "-name=large", "x".repeat(600));
  expect([refused.status, refused.err]).toEqual([
    1,
    expect.stringContaining("exceeds configured limit of"),
  ]);
});

test("the keys are listed, installed, used and removed", async () => {
  const [old, fresh] = [current, (await said(near, "keygen")).trim()];
  expect(Buffer.from(fresh, "base64").length).toBe(32);
  const list = (keys: Record<string, [lan: number, wan: number]>) => {
    const lines = (pool: 0 | 1, nodes: number) =>
      Object.keys(keys).sort().map((name) => `  ${name} [${keys[name]![pool]}/${nodes}]\n`).join(
        "",
      );
    return `==> Gathering installed encryption keys...\n\nWAN:\n${lines(1, 1)}` +
      `\ndc1 (LAN):\n${lines(0, 3)}`;
  };
  expect(await said(far, "keyring", "-list")).toBe(list({ [old]: [3, 1] }));
  await said(far, "keyring", `-install=${fresh}`);
  expect(await said(server, "keyring", "-list")).toBe(list({ [old]: [3, 1], [fresh]: [3, 1] }));
  const early = await curia(far, "keyring", `-remove=${old}`);
  expect([early.status, early.err]).toEqual([
    1,
    expect.stringContaining("removing the primary key is not allowed"),
  ]);
  await said(far, "keyring", `-use=${fresh}`);
  await said(far, "keyring", `-remove=${old}`);
  expect(await said(far, "keyring", "-list")).toBe(list({ [fresh]: [3, 1] }));
  current = fresh;
  const local = await far.json<{ WAN: boolean }[]>("/v1/operator/keyring?local-only=true");
  expect(local.map(({ WAN }) => WAN)).toEqual([false]);
});

test("coordinates come to the catalog, give round trips and an order by nearness", async () => {
  interface Row {
    Node: string;
    Coord: { Vec: number[] };
  }
  const names = cluster.nodes.map(({ name }) => name).sort();
  await until("all coordinates are in the catalog", 60_000, async () => {
    const rows = await near.json<Row[]>("/v1/coordinate/nodes");
    return rows.length === names.length;
  });
  expect(await said(near, "rtt", "server-1")).toMatch(
    /^Estimated server-1 <-> client-2 rtt: \d+\.\d{3} ms \(using LAN coordinates\)\n$/,
  );
  const own = await near.json<Row[]>("/v1/coordinate/node/client-2");
  expect(own.map(({ Node, Coord }) => [Node, Coord.Vec.length])).toEqual([["client-2", 8]]);
  const areas = await server.json<{ Datacenter: string; AreaID: string; Coordinates: Row[] }[]>(
    "/v1/coordinate/datacenters",
  );
  expect(
    areas.map((
      { Datacenter, AreaID, Coordinates },
    ) => [Datacenter, AreaID, Coordinates.map(({ Node }) => Node)]),
  ).toEqual([["dc1", "wan", ["server-1"]]]);
  expect(await said(far, "rtt", "-wan", "server-1.dc1", "server-1.dc1")).toMatch(
    /using WAN coordinates/,
  );

  const at = async (node: string, x: number) => {
    const Coord = { Vec: [x, 0, 0, 0, 0, 0, 0, 0], Error: 1, Adjustment: 0, Height: 1e-5 };
    await server.put("/v1/catalog/register", { Node: node, Address: "10.9.9.9" });
    await server.put("/v1/coordinate/update", { Node: node, Coord });
  };
  for (const [node, x] of [["afar", 3], ["middle", 2], ["origin", 1]] as const) await at(node, x);
  const ordered = async () => {
    const rows = await near.json<{ Node: string }[]>("/v1/catalog/nodes?near=origin");
    return rows.map(({ Node }) => Node).filter((name) => !names.includes(name));
  };
  // Updates are kept together for a while before they are written.
  await until(
    "the order is by distance",
    20_000,
    async () => (await ordered()).join() === "origin,middle,afar",
  );
});

/** Follows the health of every node and keeps what it became. */
class HealthFollower {
  readonly seen: string[] = [];
  readonly #asked: TestNode;
  readonly #done: Promise<void>;
  #isStopped = false;

  constructor(asked: TestNode) {
    this.#asked = asked;
    this.#done = this.#follow();
  }

  async #follow(): Promise<void> {
    for (let index = "0"; !this.#isStopped;) {
      const response = await this.#asked.fetch(
        `/v1/health/state/any?stale&index=${index}&wait=500ms`,
      );
      index = response.headers.get("X-Consul-Index")!;
      const checks = await response.json() as { Node: string; CheckID: string; Status: string }[];
      const text = checks.map(({ Node, CheckID, Status }) => `${Node} ${CheckID} ${Status}`).sort()
        .join("; ");
      if (text !== this.seen.at(-1)) this.seen.push(text);
    }
  }

  async stop(): Promise<string[]> {
    this.#isStopped = true;
    await this.#done;
    return this.seen;
  }
}

for (const victim of [near, server]) {
  test(`gossipd of ${victim.name} killed: nobody is declared failed`, async () => {
    const follower = new HealthFollower(server);
    const incidents = async () => {
      const logs = cluster.nodes.map(({ log }) => log.split("\n"));
      return logs.flat().filter((line) => /member (failed|left)/.test(line)).length;
    };
    const before = await incidents();
    await victim.kill("gossipd");
    const ids = cluster.nodes.map(({ name }) => name);
    for (const node of cluster.nodes) {
      await until(`${node.name} sees all`, 30_000, async () => {
        const seen: Record<string, number> = await statuses(node).catch(() => ({}));
        return ids.every((id) => seen[id] === 1);
      });
    }
    // Longer than the suspicion time of so few nodes: an accusation would have come true.
    await Bun.sleep(6_000);
    expect(await incidents()).toBe(before);
    const all = ids.toSorted().map((id) => `${id} serfHealth passing`).join("; ");
    expect(await follower.stop()).toEqual([all]);
  });
}

test("gossipd of the leader hangs: reconciliation waits, and nobody is failed after", async () => {
  const follower = new HealthFollower(server);
  const { pid } = (await server.status("gossipd"))!;
  const all = cluster.nodes.map(({ name }) => `${name} serfHealth passing`).sort().join("; ");
  process.kill(pid, "SIGSTOP");
  try {
    // The others do find it failed; the leader, without a word from gossip, concludes nothing.
    await until(
      "a client takes it for failed",
      60_000,
      async () => (await statuses(near))[server.name] === 4,
    );
  } finally {
    process.kill(pid, "SIGCONT");
  }
  for (const node of cluster.nodes) {
    await until(
      `${node.name} sees all`,
      60_000,
      async () => Object.values(await statuses(node)).every((status) => status === 1),
    );
  }
  expect(await follower.stop()).toEqual([all]);
});

test("a node is joined by hand, stopped, killed, forced to leave and pruned", async () => {
  newcomer = new TestNode({
    name: "newcomer",
    address: cluster.net(9),
    server: false,
    config: { encrypt: current, retry_join: [], rejoin_after_leave: true },
  });
  newcomer.start();
  await until("it answers", 60_000, async () => (await newcomer.status("gossipd"))?.ready === true);
  expect(await said(server, "join", newcomer.address)).toBe(
    "Successfully joined cluster by contacting 1 nodes.\n",
  );
  await until(
    "it is in the catalog",
    30_000,
    async () => (await serfHealth(server, newcomer.name))?.Status === "passing",
  );
  // Its SIGTERM is a leave, as for every client; it finds back by what it kept.
  await newcomer.stop();
  await until("it has left", 30_000, async () => (await statuses(server))[newcomer.name] === 3);
  newcomer.start();
  await until("it is back", 60_000, async () => (await statuses(server))[newcomer.name] === 1);
  await until(
    "it is in the catalog again",
    30_000,
    async () => (await serfHealth(server, newcomer.name))?.Status === "passing",
  );
  await newcomer.killAll();
  await until("it is failed", 60_000, async () => (await statuses(server))[newcomer.name] === 4);
  // What the tests above look for in vain is what a failure leaves in the log.
  expect(server.log).toMatch(/member failed/);
  await until(
    "its serfHealth is critical",
    30_000,
    async () => (await serfHealth(server, newcomer.name))?.Status === "critical",
  );
  expect((await serfHealth(server, newcomer.name))!.Output).toBe("Agent not live or unreachable");
  expect(await said(server, "force-leave", newcomer.name)).toBe("");
  await until("it has left", 30_000, async () => (await statuses(far))[newcomer.name] === 3);
  await until(
    "the catalog forgot it",
    30_000,
    async () => await serfHealth(server, newcomer.name) === undefined,
  );
  await said(server, "force-leave", "-prune", newcomer.name);
  for (const node of cluster.nodes) {
    await until(
      `${node.name} forgot it`,
      30_000,
      async () => !(newcomer.name in await statuses(node)),
    );
  }
  const unknown = await curia(server, "force-leave", "nobody");
  expect([unknown.status, unknown.err]).toEqual([
    1,
    "Error force leaving: Unexpected response code: 500 " +
    "(agent: No node found with name 'nobody')\n",
  ]);
});

test("who leaves has left, and the node ends", async () => {
  expect(await said(far, "leave")).toBe("Graceful leave complete\n");
  await until("it has left", 30_000, async () => (await statuses(server))[far.name] === 3);
  await until(
    "the catalog forgot it",
    30_000,
    async () => await serfHealth(server, far.name) === undefined,
  );
  await until(
    "its daemons are gone",
    30_000,
    async () => await far.status("gossipd") === undefined && await far.status("apid") === undefined,
  );
});
