// Each daemon in turn is killed under load and comes back under its supervisor: no acknowledged
// write is lost and none is applied twice, and the others do not notice.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { dig, loopbackNet, TestNode, until } from "./node.ts";

const net = loopbackNet();
const addresses = [net(1), net(2), net(3)];
const servers = addresses.map((address, n) =>
  new TestNode({ name: `server-${n + 1}`, address, bootstrapExpect: 3, retryJoin: addresses })
);

beforeAll(async () => {
  for (const node of servers) node.start();
  await Promise.all(servers.map((node) => node.ready()));
}, 60_000);

afterAll(() => Promise.all(servers.map((node) => node.remove())), 60_000);

/** Writers that each count one key up by compare-and-set: a write applied twice would skip a number,
 *  a lost one would repeat it. */
class Load {
  acknowledged = 0;
  unknown = 0;
  readonly longestGapMs: number[] = [];
  readonly #nodes: TestNode[];
  readonly #writers: Promise<void>[];
  readonly #counts = new Map<string, { least: number; most: number }>();
  #isStopped = false;
  #lastMs = performance.now();
  gapMs = 0;

  constructor(nodes: TestNode[], writers: number) {
    this.#nodes = nodes;
    this.#writers = Array.from({ length: writers }, (_, n) => this.#write(`count/${n}`, n));
  }

  async #write(key: string, n: number): Promise<void> {
    const node = this.#nodes[n % this.#nodes.length]!;
    const count = { least: 0, most: 0 };
    this.#counts.set(key, count);
    while (!this.#isStopped) {
      const path = `/v1/kv/${key}-${count.most}?cas=0`;
      const answer = await node.fetch(path, { method: "PUT", body: String(count.most) })
        .then(async (response) => response.ok ? await response.text() : undefined)
        .catch(() => undefined);
      if (answer === undefined) {
        // Its outcome is open: the key may or may not exist.
        this.unknown++;
        count.most++;
        await Bun.sleep(20);
        continue;
      }
      // Each key is made once: "false" would be a write that was applied before.
      if (answer !== "true") throw new Error(`${key}-${count.most} was applied twice`);
      this.#written.push(`${key}-${count.most}`);
      count.most++;
      this.acknowledged++;
      const nowMs = performance.now();
      this.gapMs = Math.max(this.gapMs, nowMs - this.#lastMs);
      this.#lastMs = nowMs;
    }
  }

  readonly #written: string[] = [];

  async stop(): Promise<string[]> {
    this.#isStopped = true;
    await Promise.all(this.#writers);
    return this.#written;
  }
}

/** Fails with the first acknowledged key that is missing on a server. */
async function expectAll(node: TestNode, written: string[]): Promise<void> {
  const keys = new Set(await node.json<string[]>("/v1/kv/count/?keys&consistent"));
  expect(written.filter((key) => !keys.has(key))).toEqual([]);
}

for (const daemon of ["checkd", "gossipd", "relayd", "cad", "apid", "raftd", "dnsd"]) {
  test(`${daemon} killed under load loses nothing`, async () => {
    const victim = servers[1]!;
    // Whoever talks to the killed apid sees its connection break; the others must not.
    const load = new Load(daemon === "apid" ? [servers[0]!, servers[2]!] : servers, 12);
    await until("the load runs", 10_000, () => load.acknowledged > 50);
    await victim.kill(daemon);
    const before = load.acknowledged;
    await until("the load goes on", 10_000, () => load.acknowledged > before + 50);
    const written = await load.stop();
    await expectAll(servers[0]!, written);
    await expectAll(victim, written);
  }, 60_000);
}

test("DNS loses only what dnsd's own restart takes", async () => {
  const [node] = servers;
  await node!.put("/v1/agent/service/register", { Name: "dns-load", Address: "10.1.1.1" });
  await until(
    "the service is in DNS",
    10_000,
    async () => (await dig(node!.address, "dns-load.service.consul")).length === 1,
  );
  const answers = async () => (await dig(node!.address, "dns-load.service.consul")).length;
  for (const daemon of ["raftd", "apid", "checkd", "gossipd"]) {
    let isBack = false;
    const killed = node!.kill(daemon).then(() => isBack = true);
    while (!isBack) expect(await answers()).toBe(1);
    await killed;
  }
}, 60_000);

test("the leader node killed whole: writes go on, and it comes back", async () => {
  const leaderAddress = (await servers[0]!.json<string>("/v1/status/leader")).split(":")[0];
  const leader = servers.find(({ address }) => address === leaderAddress)!;
  const others = servers.filter((node) => node !== leader);
  const load = new Load(others, 8);
  await until("the load runs", 10_000, () => load.acknowledged > 50);
  load.gapMs = 0;
  await leader.killAll();
  const before = load.acknowledged;
  await until("writes are accepted again", 10_000, () => load.acknowledged > before + 100);
  console.log(
    `leader killed: longest gap between acknowledged writes ${Math.round(load.gapMs)} ms`,
  );
  leader.start();
  await leader.ready();
  const written = await load.stop();
  for (const node of servers) await expectAll(node, written);
}, 90_000);
