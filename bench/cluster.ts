// Reads of each consistency and writes on three servers, asked of the leader and of a follower; the
// load generator is beside them. Usage: bun bench/cluster.ts [--seconds 5] [--connections 64]

import { join } from "node:path";
import { parseArgs } from "node:util";
import { Cluster } from "../test/e2e/cluster.ts";
import type { TestNode } from "../test/e2e/node.ts";
import { machineNote, table } from "./figures.ts";
import { memoryMb } from "./processes.ts";
import { measure } from "./wrk.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    connections: { type: "string", default: "64" },
  },
});
const seconds = Number(values.seconds);
const connections = Number(values.connections);
const putScript = join(import.meta.dirname, "put.lua");

const cluster = new Cluster({ servers: 3 });
const rows: string[][] = [];

async function row(work: string, node: TestNode, path: string, script?: string): Promise<string> {
  const load = { url: node.http + path, connections, script };
  const { perSecond, p50Ms, p99Ms, errors } = await measure({ ...load, seconds });
  const failed = errors === 0 ? "" : `, ${errors} errors`;
  const text = `${Math.round(perSecond)}/s, p50 ${p50Ms.toFixed(2)}, p99 ${p99Ms.toFixed(2)} ms`;
  console.error(`${work}: ${text}${failed}`);
  return text + failed;
}

console.log(`before: ${machineNote()}`);
try {
  await cluster.start();
  const leader = await cluster.leader();
  const follower = cluster.servers.find((node) => node !== leader)!;
  await leader.put("/v1/kv/a", "x".repeat(100));
  const each = async (work: string, path: string, script?: string) => {
    const onLeader = await row(`${work}, leader`, leader, path, script);
    rows.push([work, onLeader, await row(`${work}, follower`, follower, path, script)]);
  };
  await each("KV GET default", "/v1/kv/a");
  await each("KV GET consistent", "/v1/kv/a?consistent");
  await each("KV GET stale", "/v1/kv/a?stale");
  await each("KV PUT 100 B", "", putScript);
  const memory = (node: TestNode) => `${memoryMb(node.pid).toFixed()} MB`;
  rows.push(["memory after it (PSS)", memory(leader), memory(follower)]);
} finally {
  await cluster.remove();
}
console.log(table([`${connections} connections`, "on the leader", "on a follower"], rows));
console.log(`after: ${machineNote()}`);
