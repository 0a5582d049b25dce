// Archives out and in over HTTP and the command line, on one server and on three.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Raft } from "#proto/services.ts";
import type { RaftStats } from "#proto/messages.js";
import { BusClient } from "#shared/bus/client.ts";
import { replayHttp } from "../compat/http.ts";
import { loopbackNet, program, TestNode, until } from "./node.ts";

const net = loopbackNet();
const addresses = [net(1), net(2), net(3)];
const lone = new TestNode({
  name: "lone",
  address: net(4),
  bootstrapExpect: 1,
  config: { snapshot_schedule: { interval: "1s", retain: 2 } },
});
const servers = addresses.map((address, n) =>
  new TestNode({ name: `server-${n + 1}`, address, bootstrapExpect: 3, retryJoin: addresses })
);
const folder = mkdtempSync(join(tmpdir(), "curia-snapshots-"));
const fixtures = new URL("../compat/fixtures/consul-snapshots/", import.meta.url);
const archive = (name: string) => new Uint8Array(readFileSync(new URL(`${name}.snap`, fixtures)));

interface Expected {
  kv: { Key: string; ValueSha256: string; Flags: string; ModifyIndex: number; Session: string }[];
  nodes: Record<string, { Address: string; ModifyIndex: number; services: { ID: string }[] }>;
  meta: { Index: number };
}
const expectedOf = (name: string): Expected =>
  JSON.parse(readFileSync(new URL(`${name}.expected.json`, fixtures), "utf8"));

beforeAll(async () => {
  for (const node of [lone, ...servers]) node.start();
  await Promise.all([lone, ...servers].map((node) => node.ready()));
}, 90_000);

afterAll(async () => {
  await Promise.all([lone, ...servers].map((node) => node.remove()));
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

async function save(node: TestNode, query = ""): Promise<Uint8Array<ArrayBuffer>> {
  const response = await node.fetch(`/v1/snapshot${query}`);
  expect(response.status).toBe(200);
  return new Uint8Array(await response.arrayBuffer());
}

async function restore(node: TestNode, body: Uint8Array<ArrayBuffer>): Promise<void> {
  const response = await node.fetch("/v1/snapshot", { method: "PUT", body });
  expect([response.status, await response.text()]).toEqual([200, ""]);
}

async function value(node: TestNode, key: string, query = ""): Promise<string | undefined> {
  const response = await node.fetch(`/v1/kv/${key}?raw${query}`);
  return response.status === 200 ? await response.text() : undefined;
}

async function stats(node: TestNode): Promise<RaftStats> {
  const client = new BusClient({
    addresses: [{ path: join(node.runDir, "raftd.sock") }],
    daemon: "raftd",
    identity: { daemon: "test", release: "test", nodeId: "", node: node.name, datacenter: "dc1" },
  });
  try {
    return await client.of(Raft).stats({}, { consistency: "stale" });
  } finally {
    client.close();
  }
}

/** All have applied the same and hold the same. */
async function expectEqual(nodes: readonly TestNode[]): Promise<void> {
  let seen: string[] = [];
  await until("equal states", 20_000, async () => {
    const all = await Promise.all(nodes.map(stats));
    seen = all.map(({ appliedIndex, stateHash }) => `${appliedIndex} ${stateHash}`);
    return new Set(seen).size === 1;
  }, () => seen.join("\n"));
}

async function cli(node: TestNode, verb: string, file: string) {
  const address = verb === "inspect" ? [] : [`-http-addr=${node.http}`];
  const run = Bun.spawn([...program, "snapshot", verb, ...address, file], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([
    new Response(run.stdout).text(),
    new Response(run.stderr).text(),
  ]);
  return { code: await run.exited, out, err };
}

for (const name of ["minimal-1.21-server", "full-1.21-dev"]) {
  test(`${name}: what Consul saved is here, and what we save of it restores again`, async () => {
    const expected = expectedOf(name);
    // Consul's own node is no member here: it is reaped, its session ends and takes its key along.
    const kv = expected.kv.filter(({ Session }) => Session === "");
    const external = Object.entries(expected.nodes).filter(([node]) => node.startsWith("ext-"));
    await restore(lone, archive(name));
    const check = async () => {
      for (const entry of kv) {
        const path = `/v1/kv/${entry.Key.split("/").map(encodeURIComponent).join("/")}`;
        const text = await (await lone.fetch(path)).text();
        const [found] = JSON.parse(text) as { Value: string | null; ModifyIndex: number }[];
        const raw = Buffer.from(found!.Value ?? "", "base64");
        expect(new Bun.CryptoHasher("sha256").update(raw).digest("hex")).toBe(entry.ValueSha256);
        // It may be beyond what JSON.parse keeps exact.
        expect(text).toContain(`"Flags":${entry.Flags},`);
        expect(found!.ModifyIndex).toBe(entry.ModifyIndex);
      }
      const keys = await lone.json<string[]>("/v1/kv/?keys");
      expect(keys).toEqual(expect.arrayContaining(kv.map(({ Key }) => Key)));
      expect(expected.kv.map(({ Key }) => Key)).toEqual(expect.arrayContaining(keys));
      for (const [node, { Address, ModifyIndex, services }] of external) {
        const found = await lone.json<{ Node: object; Services: object }>(
          `/v1/catalog/node/${node}`,
        );
        expect(found.Node).toMatchObject({ Address, ModifyIndex });
        expect(Object.keys(found.Services).sort()).toEqual(services.map(({ ID }) => ID).sort());
      }
    };
    await check();
    const again = await save(lone);
    await lone.put("/v1/kv/later", "x");
    const [later] = await lone.json<Expected["kv"]>("/v1/kv/later");
    expect(later!.ModifyIndex).toBeGreaterThan(expected.meta.Index);
    await restore(lone, again);
    await check();
  }, 60_000);
}

test("the command line saves, looks into and restores", async () => {
  await lone.put("/v1/kv/cli/a", "before");
  const file = join(folder, "cli.snap");
  const saved = await cli(lone, "save", file);
  expect(saved).toMatchObject({ code: 0, err: "" });
  expect(saved.out).toMatch(/^Saved and verified snapshot to index \d+\n$/);
  await lone.put("/v1/kv/cli/a", "after");
  const looked = await cli(lone, "inspect", file);
  expect(looked.code).toBe(0);
  expect(looked.out).toContain("KVS");
  expect(await cli(lone, "restore", file)).toEqual({
    code: 0,
    out: "Restored snapshot\n",
    err: "",
  });
  expect(await value(lone, "cli/a")).toBe("before");
}, 60_000);

test("a broken archive is refused and changes nothing", async () => {
  await lone.put("/v1/kv/kept", "1");
  const broken = archive("full-1.21-dev");
  broken[broken.length >> 1]! ^= 0xff;
  const response = await lone.fetch("/v1/snapshot", { method: "PUT", body: broken });
  expect(response.status).toBe(500);
  expect(await response.text()).toMatch(/^failed to (decompress|read) snapshot/);
  expect(await value(lone, "kept")).toBe("1");
}, 30_000);

test("errors are worded as Consul words them", async () => {
  const differences: string[] = [];
  await replayHttp({
    url: lone.http,
    files: ["snapshot-errors"],
    report: (step) => differences.push(...step.differences.map((each) => `${step.step}: ${each}`)),
  });
  expect(differences).toEqual([]);
}, 60_000);

test("blocking queries end with a restore, and cached answers are not of before", async () => {
  await lone.put("/v1/kv/cached", "old");
  const bytes = await save(lone);
  await lone.put("/v1/kv/cached", "new");
  const first = await lone.fetch("/v1/kv/cached?raw");
  const index = first.headers.get("X-Consul-Index");
  const blocked = lone.fetch(`/v1/kv/cached?raw&index=${index}&wait=20s`);
  await restore(lone, bytes);
  expect(await (await blocked).text()).toBe("old");
  expect(await value(lone, "cached")).toBe("old");
}, 60_000);

test(
  "a restore reaches every server, also one that was away, and the servers stay equal",
  async () => {
    const [one, two, three] = servers as [TestNode, TestNode, TestNode];
    await one.put("/v1/kv/mine", "kept in the archive");
    const bytes = await save(two);
    await one.put("/v1/kv/mine", "changed");
    await one.put("/v1/kv/extra", "x");
    await three.killAll();
    await restore(two, bytes);
    for (const node of [one, two]) {
      expect(await value(node, "mine")).toBe("kept in the archive");
      expect(await value(node, "extra")).toBeUndefined();
    }
    await one.put("/v1/kv/mine", "after");
    three.start();
    await three.ready();
    await until(
      "server-3 follows",
      20_000,
      async () => (await value(three, "mine", "&stale")) === "after",
    );
    await expectEqual(servers);
    await restore(one, archive("full-1.21-dev"));
    await expectEqual(servers);
    expect((await stats(one)).appliedIndex).toBeGreaterThan(0);
  },
  120_000,
);

test("raftd killed in the middle of a restore: the servers end up equal", async () => {
  const [one, two, three] = servers as [TestNode, TestNode, TestNode];
  const blob = Buffer.from(crypto.getRandomValues(new Uint8Array(65_536))).toString("base64");
  for (let n = 0; n < 30; n++) await one.put(`/v1/kv/big/${n}`, `${n} ${blob.slice(n)}`);
  const bytes = await save(one);
  await one.put("/v1/kv/big/0", "other");
  const killed = three.kill("raftd");
  const restored = one.fetch("/v1/snapshot", { method: "PUT", body: bytes });
  await killed;
  await two.kill("raftd");
  await restored;
  await restore(one, bytes);
  await expectEqual(servers);
  expect(await value(three, "big/0")).toBe(`0 ${blob}`);
  for (const node of servers) {
    const left = readdirSync(join(node.folder, "data/raft")).filter((name) =>
      name.includes(".tmp")
    );
    expect(left).toEqual([]);
  }
}, 120_000);

test(
  "the leader's raftd killed in the middle of a restore: all of it is done, or nothing",
  async () => {
    const [one] = servers as [TestNode, TestNode, TestNode];
    const archived = await save(one);
    await one.put("/v1/kv/big/0", "not archived");
    const leaderAddress = (await one.json<string>("/v1/status/leader")).split(":")[0];
    const leader = servers.find(({ address }) => address === leaderAddress)!;
    const other = servers.find((node) => node !== leader)!;
    const answered = other.fetch("/v1/snapshot", { method: "PUT", body: archived });
    const delayMs = Math.round(Math.random() * 300);
    console.log(`killed after ${delayMs} ms`);
    await Bun.sleep(delayMs);
    await leader.kill("raftd");
    const { status } = await answered;
    await expectEqual(servers);
    const found = await value(one, "big/0");
    if (status === 200) expect(found).not.toBe("not archived");
    await restore(other, archived);
    await expectEqual(servers);
    expect(await value(one, "big/0")).not.toBe("not archived");
  },
  120_000,
);

test("snapshots by the clock: the newest two stay, and they restore", async () => {
  const kept = join(lone.folder, "data/snapshots");
  const names = () => existsSync(kept) ? readdirSync(kept).filter((n) => n.endsWith(".snap")) : [];
  await lone.put("/v1/kv/scheduled", "1");
  const before = new Set(names());
  await until("two more are made and the rest is gone", 20_000, () => {
    const now = names();
    return now.length === 2 && now.every((name) => !before.has(name));
  });
  await restore(lone, new Uint8Array(readFileSync(join(kept, names().sort().at(-1)!))));
  expect(await value(lone, "scheduled")).toBe("1");
}, 60_000);

test("one of two restores at once is refused, and the other is done", async () => {
  const bytes = await save(lone);
  const answers = await Promise.all(
    [1, 2].map(() => lone.fetch("/v1/snapshot", { method: "PUT", body: bytes })),
  );
  const statuses = answers.map(({ status }) => status).sort();
  expect(statuses[0]).toBe(200);
  expect([200, 500]).toContain(statuses[1]!);
  writeFileSync(join(folder, "two.snap"), bytes);
}, 60_000);
