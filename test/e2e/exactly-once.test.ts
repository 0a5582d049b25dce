// A write is known by its client and sequence: sent again, to whichever server, after whatever
// happened, it is answered as the first time and never applied again.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { KvVerb } from "#proto/messages.js";
import { Cluster } from "./cluster.ts";
import { type TestNode, until } from "./node.ts";
import { apply } from "./state-call.ts";

const cluster = new Cluster({
  servers: 3,
  config: {
    performance: { rpc_hold_timeout: "3s" },
    autopilot: { cleanup_dead_servers: false },
  },
});
const { servers } = cluster;

beforeAll(() => cluster.start(), 120_000);
afterAll(() => cluster.remove(), 60_000);

/** Says yes only while the key is not there: applied twice, it would say no. */
const create = (key: string) => ({
  kv: { verb: KvVerb.KV_CAS, key: new TextEncoder().encode(key), index: 0 },
});

/** Sends the write until it is answered. */
async function send(node: TestNode, client: string, sequence: number, key: string) {
  const context = { client, sequence, floor: 1 };
  let answer: { index: number; ok: boolean } | undefined;
  let last: unknown;
  await until(`${node.name} answers`, 60_000, async () => {
    try {
      const { index, ok } = await apply(node, create(key), { context });
      answer = { index, ok };
    } catch (error) {
      last = error;
    }
    return answer !== undefined;
  }, () => String(last));
  return answer!;
}

test("sent again after the leader died, and after all servers were killed", async () => {
  const leader = await cluster.leader();
  const [asked, other] = servers.filter((node) => node !== leader) as [TestNode, TestNode];
  const first = await send(asked, "again", 1, "once");
  expect(first.ok).toBe(true);

  await leader.killAll();
  expect(await send(other, "again", 1, "once")).toEqual(first);
  expect(await send(asked, "again", 1, "once")).toEqual(first);
  await Promise.all([asked.killAll(), other.killAll()]);
  for (const node of servers) node.start();
  await Promise.all(servers.map((node) => node.ready()));
  for (const node of servers) expect(await send(node, "again", 1, "once")).toEqual(first);

  // Another write of the same content is another write.
  expect((await send(other, "again", 2, "once")).ok).toBe(false);
  expect((await send(other, "another", 1, "once")).ok).toBe(false);
}, 120_000);

test("sent to all servers at once while the leader is killed", async () => {
  for (let round = 1; round <= 4; round++) {
    const leader = await cluster.leader();
    const key = `round-${round}`;
    const answers = servers.map((node) => send(node, "copies", round, key));
    // At another moment of the write's way each time.
    if (round % 2 === 0) await answers[0];
    await leader.kill("raftd");
    const [first, ...others] = await Promise.all(answers);
    expect(first!.ok).toBe(true);
    for (const other of others) expect(other).toEqual(first!);
    await Promise.all(servers.map((node) => node.ready()));
    const [row] = await servers[0]!.json<{ ModifyIndex: number; LockIndex: number }[]>(
      `/v1/kv/${key}?consistent`,
    );
    expect(row!.ModifyIndex).toBe(first!.index);
  }
}, 120_000);
