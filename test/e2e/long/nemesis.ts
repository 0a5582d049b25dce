// Real nodes in network namespaces under kills, pauses and partitions, for CURIA_MINUTES (10): what
// clients were told is linearizable, and in the end all servers have the same.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { checkLinearizable } from "../../sim/linear.ts";
import { program, TestNode, until } from "../node.ts";
import { Clients } from "./clients.ts";
import { Net } from "./net.ts";

const minutes = Number(process.env["CURIA_MINUTES"] ?? "10");
const count = 3;
const net = new Net(count);
const numbers = Array.from({ length: count }, (_, n) => n + 1);
const addresses = numbers.map((number) => net.address(number));
const nodes = numbers.map((number) =>
  new TestNode({
    name: `server-${number}`,
    address: net.address(number),
    bootstrapExpect: count,
    retryJoin: addresses,
    program: [...net.within(number), ...program],
    config: {
      performance: { rpc_hold_timeout: "3s" },
      autopilot: { cleanup_dead_servers: false },
    },
  })
);
const log: string[] = [];

beforeAll(async () => {
  net.open();
  for (const node of nodes) node.start();
  await Promise.all(nodes.map((node) => node.ready()));
}, 120_000);

afterAll(async () => {
  net.heal();
  await Promise.all(nodes.map((node) => node.remove()));
  net.close();
}, 60_000);

const any = (max: number) => Math.floor(Math.random() * max);
const seconds = (from: number, to: number) =>
  Bun.sleep((from + Math.random() * (to - from)) * 1_000);

async function raftdPid(node: TestNode): Promise<number | undefined> {
  return (await node.status("raftd"))?.pid;
}

/** The leader as often as not: it is the one to hit. */
async function victim(): Promise<number> {
  if (Math.random() < 0.5) return any(count);
  for (const [n, node] of nodes.entries()) {
    if ((await node.status("raftd"))?.details["role"] === "leader") return n;
  }
  return any(count);
}

const faults: Record<string, (n: number) => Promise<void>> = {
  async "kill raftd"(n) {
    const pid = await raftdPid(nodes[n]!);
    if (pid !== undefined) process.kill(pid, "SIGKILL");
    await seconds(0.5, 2);
  },
  async "kill node"(n) {
    await nodes[n]!.killAll();
    await seconds(0.5, 3);
    nodes[n]!.start();
  },
  async "pause raftd"(n) {
    const pid = await raftdPid(nodes[n]!);
    if (pid === undefined) return;
    process.kill(pid, "SIGSTOP");
    await seconds(0.2, 4);
    process.kill(pid, "SIGCONT");
  },
  async "cut off"(n) {
    for (const other of numbers) {
      if (other === n + 1) continue;
      net.cut(n + 1, other);
      net.cut(other, n + 1);
    }
    await seconds(1, 5);
    net.heal();
  },
  async "cut one way"(n) {
    for (const other of numbers) if (other !== n + 1) net.cut(n + 1, other);
    await seconds(1, 5);
    net.heal();
  },
  async "cut one link"(n) {
    const other = (n + 1) % count;
    net.cut(n + 1, other + 1);
    net.cut(other + 1, n + 1);
    await seconds(1, 5);
    net.heal();
  },
};

test(`what clients are told under faults for ${minutes} minutes is linearizable`, async () => {
  const clients = new Clients(nodes, 4);
  const endMs = performance.now() + minutes * 60_000;
  while (performance.now() < endMs) {
    const names = Object.keys(faults);
    const name = names[any(names.length)]!, n = await victim();
    log.push(`${Math.round(performance.now())} ms: ${name} ${nodes[n]!.name}`);
    await faults[name]!(n);
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
  const groups = clients.history.byKey();
  const verdicts = new Map<string, number>();
  for (const [key, calls] of groups) {
    const verdict = checkLinearizable(calls);
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
    if (verdict === "not-linearizable") console.log(key, JSON.stringify(calls), log.join("\n"));
  }
  console.log(
    `${log.length} faults, ${clients.answered} calls answered, ${clients.unanswered} not, ` +
      `${groups.size} keys: ${JSON.stringify(Object.fromEntries(verdicts))}`,
  );
  expect(verdicts.get("not-linearizable")).toBeUndefined();
  // A key with too many open calls is no proof; they must be few.
  expect((verdicts.get("too-hard") ?? 0) / groups.size).toBeLessThan(0.1);
  expect(clients.answered).toBeGreaterThan(minutes * 60 * 10);
  expect(log.length).toBeGreaterThan(minutes * 5);
}, minutes * 60_000 + 300_000);
