// A server that leaves takes writes until its node ends: what its raftd can no longer bring into the
// log, being no member, another server does.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster } from "./cluster.ts";
import type { TestNode } from "./node.ts";

const cluster = new Cluster({ servers: 3 });
beforeAll(() => cluster.start(), 60_000);
afterAll(() => cluster.remove(), 60_000);

/** Writes one key after the other until the node is gone. */
async function writeToTheEnd(node: TestNode, isMember: () => Promise<boolean>) {
  const written: string[] = [];
  const refused: string[] = [];
  let writesAfterRemoval = 0;
  for (let n = 0;; n++) {
    const isIn = await isMember();
    const key = `leaving/${n}`;
    const response = await node.fetch(`/v1/kv/${key}`, { method: "PUT", body: "x" })
      .catch(() => undefined);
    if (response === undefined) return { written, refused, writesAfterRemoval };
    const text = await response.text().catch(() => "");
    if (text === "true") {
      written.push(key);
      if (!isIn) writesAfterRemoval++;
    } else if (text !== "") refused.push(`${response.status} ${text}`);
  }
}

test("the leader leaves: its node takes writes to the end, and none is lost", async () => {
  const leader = await cluster.leader();
  const other = cluster.servers.find((node) => node !== leader)!;
  const isMember = async () => {
    const { Servers } = await other.json<{ Servers: { Node: string }[] }>(
      "/v1/operator/raft/configuration?stale",
    );
    return Servers.length === 3;
  };
  const writing = writeToTheEnd(leader, isMember);
  await leader.put("/v1/agent/leave");
  const { written, refused, writesAfterRemoval } = await writing;
  expect(refused).toEqual([]);
  expect(writesAfterRemoval).toBeGreaterThan(10);
  const keys = new Set(await other.json<string[]>("/v1/kv/leaving/?keys&consistent"));
  expect(written.filter((key) => !keys.has(key))).toEqual([]);
}, 60_000);
