// Real nodes in network namespaces and on disks of their own under kills, pauses, partitions, power
// losses and full disks, for CURIA_MINUTES (10): what clients were told is linearizable, and in the
// end all servers have the same. CURIA_FAULTS takes only the faults that match it.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { closeSync, fsyncSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { checkLinearizable } from "../../sim/linear.ts";
import { program, TestNode, until } from "../node.ts";
import { Clients } from "./clients.ts";
import { Disk } from "./disk.ts";
import { Net } from "./net.ts";
import { any, faults, seconds } from "./node-faults.ts";

const minutes = Number(process.env["CURIA_MINUTES"] ?? "10");
const chosen = new RegExp(process.env["CURIA_FAULTS"] ?? "");
const count = 3;
const diskMib = 192;
const net = new Net(count);
const numbers = Array.from({ length: count }, (_, n) => n + 1);
const addresses = numbers.map((number) => net.address(number));
const disks: Disk[] = [];
const nodes: TestNode[] = [];
const log: string[] = [];
const counts = new Map<string, number>();

beforeAll(async () => {
  net.open();
  for (const number of numbers) {
    const disk = new Disk(diskMib);
    disks.push(disk);
    const node = new TestNode({
      name: `server-${number}`,
      address: net.address(number),
      bootstrapExpect: count,
      retryJoin: addresses,
      program: [...net.within(number), ...program],
      config: {
        data_dir: join(disk.path, "data"),
        performance: { rpc_hold_timeout: "3s" },
        autopilot: { cleanup_dead_servers: false },
      },
    });
    nodes.push(node.start());
  }
  await Promise.all(nodes.map((node) => node.ready()));
}, 120_000);

afterAll(async () => {
  net.heal();
  await Promise.all(nodes.map((node) => node.remove()));
  await Promise.all(disks.map((disk) => disk.remove()));
  net.close();
}, 120_000);

/** The leader as often as not: it is the one to hit. */
async function victim(): Promise<number> {
  if (Math.random() < 0.5) return any(count);
  for (const [n, node] of nodes.entries()) {
    if ((await node.status("raftd"))?.details["role"] === "leader") return n;
  }
  return any(count);
}

test("a disk that loses its power keeps what was synced, and nothing else", async () => {
  const disk = new Disk(16);
  try {
    const file = join(disk.path, "file");
    const fd = openSync(file, "w");
    writeSync(fd, "synced");
    fsyncSync(fd);
    writeSync(fd, ", lost");
    disk.shutDown();
    closeSync(fd);
    expect(() => writeFileSync(file, "more")).toThrow("EIO");
    await disk.powerUp();
    expect(readFileSync(file, "utf8")).toBe("synced");
  } finally {
    await disk.remove();
  }
}, 60_000);

test(`what clients are told under faults for ${minutes} minutes is linearizable`, async () => {
  const clients = new Clients(nodes, 4);
  const names = Object.keys(faults).filter((name) => chosen.test(name));
  const endMs = performance.now() + minutes * 60_000;
  while (performance.now() < endMs) {
    const name = names[any(names.length)]!, n = await victim();
    log.push(`${Math.round(performance.now())} ms: ${name} ${nodes[n]!.name}`);
    counts.set(name, (counts.get(name) ?? 0) + 1);
    await faults[name]!({ nodes, disks, net }, n);
    await seconds(0.5, 2);
  }
  await Promise.all(nodes.map((node) => node.ready()));
  await clients.stop();
  await until("all servers have the same", 60_000, async () => {
    const lists = await Promise.all(
      nodes.map((node) => node.fetch(`/v1/kv/${clients.prefix}?recurse&stale`)),
    );
    const texts = await Promise.all(lists.map((list) => list.text()));
    return lists.every(({ ok }) => ok) && texts.every((text) => text === texts[0]);
  }, () => log.slice(-20).join("\n"));
  await clients.readAll(nodes);
  const groups = clients.history.groups();
  const startedMs = performance.now();
  const verdicts = new Map<string, number>();
  for (const [key, calls] of groups) {
    const verdict = checkLinearizable(calls);
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    if (verdict === "not-linearizable") console.log(key, JSON.stringify(calls), log.join("\n"));
  }
  console.log(
    `${log.length} faults ${JSON.stringify(Object.fromEntries(counts))}, ` +
      `${clients.answered} calls answered, ${clients.unanswered} not, ` +
      `${clients.refused} refused, ` +
      `${groups.size} groups of keys: ${JSON.stringify(Object.fromEntries(verdicts))}, ` +
      `checked in ${Math.round(performance.now() - startedMs)} ms`,
  );
  expect(verdicts.get("not-linearizable")).toBeUndefined();
  // A group with too many open calls is no proof; they must be few.
  expect((verdicts.get("too-hard") ?? 0) / groups.size).toBeLessThan(0.1);
  expect(clients.answered).toBeGreaterThan(minutes * 60 * 10);
  expect(log.length).toBeGreaterThan(minutes * 5);
}, minutes * 60_000 + 300_000);
