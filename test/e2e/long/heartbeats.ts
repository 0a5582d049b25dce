// Heartbeats hold: 200,000 keys, all of them listed each second, as many writes as go in; for
// CURIA_MINUTES (10) on three servers without an election.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster } from "../cluster.ts";
import type { TestNode } from "../node.ts";

const minutes = Number(process.env["CURIA_MINUTES"] ?? "10");
const keyCount = Number(process.env["CURIA_KEYS"] ?? "200000");
/** Operations in a transaction, at most. */
const batchMax = 125;
const writers = 64;

const cluster = new Cluster({ servers: 3 });
beforeAll(() => cluster.start(), 120_000);
afterAll(() => cluster.remove(), 60_000);

async function fill(node: TestNode): Promise<void> {
  const Value = Buffer.alloc(64, "v").toString("base64");
  let next = 0;
  await Promise.all(Array.from({ length: 16 }, async () => {
    while (next < keyCount) {
      const first = next;
      next += batchMax;
      const count = Math.min(batchMax, keyCount - first);
      const operations = Array.from({ length: count }, (_, n) => ({
        KV: { Verb: "set", Key: `all/${String(first + n).padStart(8, "0")}`, Value },
      }));
      await node.put("/v1/txn", operations);
    }
  }));
}

interface Leadership {
  term: number;
  changes: number;
}
const leadership = (): Promise<Leadership[]> =>
  Promise.all(cluster.servers.map(async (node) => ({
    term: await node.counted("raftd", /^raftd_term /),
    changes: await node.counted("raftd", /^raftd_leader_changes_total /),
  })));

test(`no election in ${minutes} minutes of load on ${keyCount} keys`, async () => {
  const leader = await cluster.leader();
  await fill(leader);
  const before = await leadership();
  const endMs = performance.now() + minutes * 60_000;
  const isOver = () => performance.now() > endMs;
  const failures: string[] = [];
  let writes = 0, lists = 0, lateLists = 0, slowestListMs = 0;
  const writing = Array.from({ length: writers }, async (_, writer) => {
    const node = cluster.servers[writer % 3]!;
    for (let n = 0; !isOver(); n++) {
      const key = `all/${String((writer * 7919 + n * 64) % keyCount).padStart(8, "0")}`;
      const response = await node.fetch(`/v1/kv/${key}`, { method: "PUT", body: `${writer} ${n}` });
      const answer = await response.text();
      if (answer === "true") writes++;
      else failures.push(`${response.status} ${answer}`);
    }
  });
  const listing = (async () => {
    while (!isOver()) {
      const startedMs = performance.now();
      const response = await leader.fetch("/v1/kv/all/?recurse");
      let bytes = 0;
      for await (const chunk of response.body!) bytes += chunk.length;
      // A machine that is too small for the load may be late with a list, not with a heartbeat.
      if (response.status === 500) lateLists++;
      else if (!response.ok || bytes < keyCount * 64) {
        failures.push(`list: ${response.status} ${bytes} bytes`);
      } else lists++;
      const tookMs = performance.now() - startedMs;
      slowestListMs = Math.max(slowestListMs, tookMs);
      await Bun.sleep(Math.max(0, 1_000 - tookMs));
    }
  })();
  await Promise.all([...writing, listing]);
  const perS = Math.round(writes / (minutes * 60));
  console.log(
    `${writes} writes (${perS}/s), ${lists} lists of ${keyCount} keys, the slowest ` +
      `${Math.round(slowestListMs)} ms, ${lateLists} too late, ${failures.length} failures`,
  );
  const after = await leadership();
  if (JSON.stringify(after) !== JSON.stringify(before)) {
    for (const node of cluster.servers) {
      const lines = node.log.split("\n").filter((line) => /raftd: (?!raft conf)/.test(line));
      console.log(`${node.name}:\n${lines.slice(-30).join("\n")}`);
    }
  }
  expect(failures.slice(0, 5)).toEqual([]);
  expect(lists).toBeGreaterThan(lateLists);
  expect(after).toEqual(before);
}, minutes * 60_000 + 600_000);
