// Three gossipd processes on loopback, driven over their bus sockets as the other daemons do.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Gossip } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";

const folder = mkdtempSync(join(tmpdir(), "curia-gossipd-"));
const identity = { daemon: "test", release: "0", nodeId: "", node: "test", datacenter: "dc1" };

async function until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const endMs = performance.now() + 20_000;
  while (true) {
    const found = await look();
    if (found) return found;
    if (performance.now() > endMs) throw new Error(`waited in vain for: ${what}`);
    await Bun.sleep(30);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

class Node {
  readonly name: string;
  readonly isServer: boolean;
  lanPort = 0;
  wanPort = 0;
  #process: Bun.Subprocess | undefined;
  #client: BusClient | undefined;
  #args: string[] = [];

  constructor(name: string, isServer: boolean) {
    this.name = name;
    this.isServer = isServer;
  }

  get dataDir(): string {
    return join(folder, this.name);
  }

  async start(joins: string[], extra: string[] = []): Promise<void> {
    this.lanPort = await freePort();
    this.wanPort = await freePort();
    const hcl = [
      `run_dir = "${folder}/${this.name}-run"`,
      `ports { server = ${await freePort()} }`,
      `gossip_lan { gossip_interval = "50ms" probe_interval = "200ms" probe_timeout = "100ms" }`,
      `gossip_wan { gossip_interval = "50ms" probe_interval = "200ms" probe_timeout = "100ms" }`,
      ...extra,
    ];
    this.#args = [
      `-node=${this.name}`,
      "-bind=127.0.0.1",
      `-data-dir=${this.dataDir}`,
      `-serf-lan-port=${this.lanPort}`,
      `-serf-wan-port=${this.wanPort}`,
      ...(this.isServer ? ["-server"] : []),
      ...joins.map((address) => `-retry-join=${address}`),
      ...hcl.map((line) => `-hcl=${line}`),
    ];
    await this.run();
  }

  async run(): Promise<void> {
    const main = new URL("main.ts", import.meta.url).pathname;
    this.#process = Bun.spawn([process.execPath, main, ...this.#args], {
      stdout: Bun.file(join(folder, `${this.name}.log`)),
      stderr: "inherit",
    });
    const path = join(folder, `${this.name}-run`, "gossipd.sock");
    this.#client = new BusClient({ addresses: [{ path }], daemon: "gossipd", identity });
    await until(`${this.name} answers`, async () => {
      return await this.gossip.members({ wan: false }).then(() => true, () => false);
    });
  }

  get gossip() {
    return this.#client!.of(Gossip);
  }

  async statuses(wan = false): Promise<Record<string, number>> {
    const { members } = await this.gossip.members({ wan });
    return Object.fromEntries(members.map((member) => [member.name, member.status]));
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    this.#client?.close();
    this.#process?.kill(signal);
    await this.#process?.exited;
  }
}

const [a, b, c] = [new Node("a", true), new Node("b", true), new Node("c", false)];
const key = Uint8Array.from({ length: 32 }, (_, i) => i).toBase64();
const otherKey = Uint8Array.from({ length: 32 }, (_, i) => 255 - i).toBase64();

beforeAll(async () => {
  await a.start([], [`encrypt = "${key}"`]);
  await b.start([`127.0.0.1:${a.lanPort}`], [`encrypt = "${key}"`]);
  await c.start([`127.0.0.1:${a.lanPort}`], [
    `encrypt = "${key}"`,
    `checkd_absence_timeout = "300ms"`,
  ]);
}, 60_000);

afterAll(async () => {
  await Promise.all([a, b, c].map((node) => node.end("SIGKILL")));
  rmSync(folder, { recursive: true, force: true });
});

test("nodes find each other, and servers form the WAN pool by themselves", async () => {
  for (const node of [a, b, c]) {
    await until("three members", async () => {
      return JSON.stringify(Object.entries(await node.statuses()).sort()) ===
        '[["a",1],["b",1],["c",1]]';
    });
  }
  for (const node of [a, b]) {
    await until("two servers", async () => Object.keys(await node.statuses(true)).length === 2);
    expect(await node.statuses(true)).toEqual({ "a.dc1": 1, "b.dc1": 1 });
  }
  await expect(c.gossip.members({ wan: true })).rejects.toThrow("Must be a server");
  const { members, encrypted, localName } = await c.gossip.members({ wan: false });
  expect([encrypted, localName]).toEqual([true, "c"]);
  const tags = Object.fromEntries(members.map((member) => [member.name, member.tags]));
  expect(tags["a"]).toMatchObject({ role: "consul", dc: "dc1", vsn: "2", raft_vsn: "3" });
  expect(tags["c"]).toMatchObject({ role: "node", dc: "dc1" });
  expect(tags["a"]!["curia"]).toBeDefined();
}, 30_000);

test("a checkd that never comes is told to the pool", async () => {
  await until("c's mark", async () => {
    const { members } = await a.gossip.members({ wan: false });
    return members.find((member) => member.name === "c")?.tags["checkd"] === "absent";
  });
  const beat = c.gossip.checkerAlive();
  beat.write({});
  await until("no mark", async () => {
    const { members } = await a.gossip.members({ wan: false });
    return members.find((member) => member.name === "c")?.tags["checkd"] === undefined;
  });
  beat.cancel();
}, 30_000);

test("user events reach all, filtered by node", async () => {
  const payload = new TextEncoder().encode("v1");
  const fired = await a.gossip.fireEvent({ name: "deploy", payload });
  await a.gossip.fireEvent({ name: "only-b", nodeFilter: "^b$" });
  await until("the event", async () => (await b.gossip.listEvents({})).events.length === 2);
  await until("the event", async () => (await c.gossip.listEvents({})).events.length === 1);
  const { events } = await c.gossip.listEvents({ name: "deploy" });
  expect(events[0]!.id).toBe(fired.id);
  expect(new TextDecoder().decode(events[0]!.payload)).toBe("v1");
  const large = a.gossip.fireEvent({ name: "large", payload: new Uint8Array(600) });
  await expect(large).rejects.toThrow("user event exceeds configured limit of 512 bytes");
}, 30_000);

test("keys are rotated and kept on disk", async () => {
  const operate = (operation: string, wanted: string) =>
    until(operation, async () => {
      const { pools } = await a.gossip.keyring({ operation, key: wanted });
      return pools.every((pool) => pool.error === "") && pools;
    });
  await operate("install", otherKey);
  await operate("use", otherKey);
  await operate("remove", key);
  const [lan, wan] = await operate("list", "");
  expect(lan).toMatchObject({ wan: false, numNodes: 3, keys: { [otherKey]: 3 } });
  expect(wan).toMatchObject({ wan: true, numNodes: 2, primaryKeys: { [otherKey]: 2 } });
  const file = join(b.dataDir, "serf", "local.keyring");
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual([otherKey]);
}, 30_000);

test("a killed gossipd comes back by its snapshot before anyone calls it failed", async () => {
  const changes: string[] = [];
  const stream = a.gossip.watchMembers({ wan: false });
  stream.onItem = ({ kind, member }) => {
    if (member && kind !== "view") changes.push(`${kind} ${member.name}`);
  };
  stream.onError = () => {};
  await until("c's snapshot", async () => {
    const path = join(c.dataDir, "serf", "local.snapshot");
    return existsSync(path) && /alive: a /.test(readFileSync(path, "utf8"));
  });
  await c.end("SIGKILL");
  await c.run();
  await until("c sees all", async () => Object.keys(await c.statuses()).length === 3);
  expect(await a.statuses()).toEqual({ a: 1, b: 1, c: 1 });
  expect(changes.filter((change) => change !== "update c")).toEqual([]);
  stream.cancel();
}, 30_000);

test("who is killed is failed, who leaves is left", async () => {
  await c.end("SIGKILL");
  await until("c failed", async () => (await a.statuses())["c"] === 4);
  await a.gossip.forceLeave({ node: "c" });
  await until("c left", async () => (await b.statuses())["c"] === 3);
  await expect(a.gossip.forceLeave({ node: "nobody" })).rejects.toThrow("No node found");
  await b.gossip.leave({}, { timeoutMs: 30_000 });
  expect([(await a.statuses())["b"], (await a.statuses(true))["b.dc1"]]).toEqual([3, 3]);
}, 60_000);
