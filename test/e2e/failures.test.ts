// Servers that are lost one by one: with two of three all goes on, with one of three there are no
// writes but stale reads, and with one back the writes are back.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster } from "./cluster.ts";
import { type TestNode, until } from "./node.ts";

const holdMs = 2_000;
/** How long a message between two daemons may take on a busy machine. */
const contactSlackMs = 400;
const cluster = new Cluster({
  servers: 3,
  config: {
    performance: { rpc_hold_timeout: `${holdMs}ms` },
    // A dead server must not be taken out of the configuration while the test looks on.
    autopilot: { cleanup_dead_servers: false },
  },
});

beforeAll(() => cluster.start(), 120_000);
afterAll(() => cluster.remove(), 60_000);

interface Stale {
  body: string;
  knowsLeader: string | null;
  lastContactMs: number;
  /** When it was asked for, and when it was there. */
  askedMs: number;
  hereMs: number;
}
async function stale(node: TestNode, key: string): Promise<Stale> {
  const askedMs = performance.now();
  const response = await node.fetch(`/v1/kv/${key}?raw&stale`);
  return {
    askedMs,
    hereMs: performance.now(),
    body: await response.text(),
    knowsLeader: response.headers.get("X-Consul-KnownLeader"),
    lastContactMs: Number(response.headers.get("X-Consul-LastContact")),
  };
}

async function writes(node: TestNode, key: string): Promise<void> {
  await until(`${node.name} takes writes`, 30_000, async () => {
    const response = await node.fetch(`/v1/kv/${key}`, { method: "PUT", body: key });
    return response.ok && await response.text() === "true";
  });
}

test("3 of 3, 2 of 3, 1 of 3, 2 of 3", async () => {
  const leader = await cluster.leader();
  const [second, last] = cluster.servers.filter((node) => node !== leader) as [TestNode, TestNode];
  await writes(last, "three");

  await leader.killAll();
  await writes(last, "two");
  await writes(second, "two-too");
  expect(await (await last.fetch("/v1/kv/two-too?raw&consistent")).text()).toBe("two-too");

  await second.killAll();
  const startedMs = performance.now();
  const refused = await last.fetch("/v1/kv/one", { method: "PUT", body: "x" });
  const tookMs = performance.now() - startedMs;
  expect(refused.status).toBe(500);
  expect((await refused.text()).trim()).toMatch(
    /^(No cluster leader|rpc error making call: No cluster leader|.*not confirmed in time.*)$/,
  );
  // Held for a leader that may come, not longer.
  expect(tookMs).toBeLessThan(holdMs + 5_000);
  let again: Response | undefined;
  await until("there is no leader", 20_000, async () => {
    again = await last.fetch("/v1/kv/one", { method: "PUT", body: "x" });
    return (await stale(last, "two")).knowsLeader === "false";
  });
  expect([again!.status, (await again!.text()).trim()]).toEqual([500, "No cluster leader"]);
  const strict = await last.fetch("/v1/kv/two");
  expect([strict.status, (await strict.text()).trim()]).toEqual([500, "No cluster leader"]);

  const first = await stale(last, "two");
  expect(first).toMatchObject({ body: "two", knowsLeader: "false" });
  let later = first;
  await until("the last contact grows", 10_000, async () => {
    later = await stale(last, "two");
    return later.lastContactMs > first.lastContactMs + 500;
  }, () => JSON.stringify([first, later]));
  expect(later).toMatchObject({ body: "two", knowsLeader: "false" });
  // It grows as time does, but for the way of what was told.
  const grownMs = later.lastContactMs - first.lastContactMs;
  expect(grownMs).toBeGreaterThan(later.askedMs - first.hereMs - contactSlackMs);
  expect(grownMs).toBeLessThan(later.hereMs - first.askedMs + contactSlackMs);
  const counted = await Promise.all(Array.from({ length: 5 }, () => stale(last, "two")));
  for (const each of counted) expect(each.lastContactMs).toBeGreaterThan(first.lastContactMs);
  const bounded = await last.fetch("/v1/kv/two?raw&max_stale=10m");
  expect([bounded.status, await bounded.text()]).toEqual([200, "two"]);
  const tooOld = await last.fetch("/v1/kv/two?raw&max_stale=100ms");
  expect([tooOld.status, (await tooOld.text()).trim()]).toEqual([500, "No cluster leader"]);
  expect(await last.json<string>("/v1/status/leader")).toBe("");

  leader.start();
  await leader.ready();
  await writes(last, "back");
  await writes(leader, "back-too");
  // Stale reads learn of a leader with the next bookmark.
  await until("stale reads know the leader", 5_000, async () => {
    return (await stale(last, "two")).knowsLeader === "true";
  });
  second.start();
  await second.ready();
  await until("all have the same", 20_000, async () => {
    const all = await Promise.all(cluster.servers.map((node) => stale(node, "back-too")));
    return all.every(({ body }) => body === "back-too");
  });
}, 180_000);
