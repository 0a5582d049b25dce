// Blocking queries as thousands of clients use them: all are woken by the one write, none before,
// and one that waits in vain returns when Consul's would.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster } from "./cluster.ts";
import { until } from "./node.ts";
import { talk } from "./raw.ts";

const cluster = new Cluster({
  servers: 1,
  clients: 1,
  config: { limits: { http_max_conns_per_client: 5000 } },
});
const server = cluster.servers[0]!;
const client = cluster.clients[0]!;

beforeAll(() => cluster.start(), 120_000);
afterAll(() => cluster.remove(), 60_000);

const indexOf = (response: Response) => Number(response.headers.get("X-Consul-Index"));
const blocked = () => server.counted("apid", /^apid_blocked_reads /);

/** Reads that wait for the key to change, and what they get; each on a connection of its own, as
 *  fetch keeps most of so many waiting. */
async function readers(paths: string[]): Promise<Promise<{ index: number; body: string }>[]> {
  const before = await blocked();
  const reads = paths.map(async (path) => {
    const answer = await talk(
      { host: server.address, port: 8500 },
      `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    const [head, body] = answer.split("\r\n\r\n") as [string, string];
    return { index: Number(/^x-consul-index: (\d+)/im.exec(head)?.[1]), body };
  });
  await until("all of them are blocked", 60_000, async () => {
    return await blocked() >= before + paths.length;
  });
  return reads;
}

test("1,900 readers of one key are all answered by one write", async () => {
  await server.put("/v1/kv/watched", "one");
  const index = indexOf(await server.fetch("/v1/kv/watched"));
  const path = `/v1/kv/watched?raw&index=${index}&wait=120s`;
  const reads = await readers(Array.from({ length: 1_900 }, () => path));
  // Another key is not their business.
  await server.put("/v1/kv/other", "x");
  expect(await blocked()).toBe(1_900);
  const startedMs = performance.now();
  await server.put("/v1/kv/watched", "two");
  const answers = await Promise.all(reads);
  const tookMs = Math.round(performance.now() - startedMs);
  console.log(`${answers.length} blocked readers were answered within ${tookMs} ms of the write`);
  expect(answers.filter(({ body }) => body === "two").length).toBe(1_900);
  expect(new Set(answers.map((answer) => answer.index)).size).toBe(1);
  expect(answers[0]!.index).toBeGreaterThan(index);
  await until("none is left", 10_000, async () => await blocked() === 0);
}, 120_000);

test("300 readers of 300 keys are woken each by its own key only", async () => {
  const keys = Array.from({ length: 300 }, (_, n) => `many/${n}`);
  await Promise.all(keys.map((key) => server.put(`/v1/kv/${key}`, "old")));
  const paths = await Promise.all(keys.map(async (key) => {
    const index = indexOf(await server.fetch(`/v1/kv/${key}`));
    return `/v1/kv/${key}?raw&index=${index}&wait=120s`;
  }));
  const reads = await readers(paths);
  await server.put("/v1/kv/many/7", "new");
  expect((await reads[7])!.body).toBe("new");
  expect(await blocked()).toBe(299);
  await server.fetch("/v1/kv/many/?recurse", { method: "DELETE" });
  const answers = await Promise.all(reads);
  expect(answers.filter(({ body }) => body === "").length).toBe(299);
}, 120_000);

test("one that waits in vain returns after its wait and at most a sixteenth more", async () => {
  for (const node of [server, client]) {
    const index = indexOf(await node.fetch("/v1/kv/quiet"));
    const startedMs = performance.now();
    const response = await node.fetch(`/v1/kv/quiet?index=${index}&wait=3s`);
    const tookMs = performance.now() - startedMs;
    expect([response.status, indexOf(response)]).toEqual([404, index]);
    expect(tookMs).toBeGreaterThanOrEqual(3_000);
    // 3 s and 187 ms of jitter; the rest is for a machine that is busy with other tests.
    expect(tookMs).toBeLessThan(3_900);
  }
}, 60_000);

test("one at a client node goes on when the server's raftd is killed in between", async () => {
  await client.put("/v1/kv/through", "one");
  const index = indexOf(await client.fetch("/v1/kv/through"));
  const read = client.fetch(`/v1/kv/through?raw&index=${index}&wait=60s`);
  await until("it is blocked", 10_000, async () => {
    return await client.counted("apid", /^apid_blocked_reads /) > 0;
  });
  await server.kill("raftd");
  await server.put("/v1/kv/through", "two");
  const answer = await read;
  expect([answer.status, await answer.text()]).toEqual([200, "two"]);
}, 90_000);
