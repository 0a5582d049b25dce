// The table of ratios: Curia against floor programs, and against a real `consul` when one is on PATH,
// from one run on one machine with the load generator beside it.
// Usage: bun bench/run.ts [--seconds 5] [--only kv-get,kv-put]

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loopbackNet, TestNode, until } from "../test/e2e/node.ts";
import { memoryMb } from "./processes.ts";
import { measure, type Rate } from "./wrk.ts";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "5" }, only: { type: "string", default: "" } },
});
const seconds = Number(values.seconds);
const only = values.only.split(",").filter((name) => name !== "");
const wants = (name: string) => only.length === 0 || only.includes(name);

interface Row {
  work: string;
  ours: string;
  floor: string;
  ratio: string;
  goal: string;
}
const rows: Row[] = [];
const folder = mkdtempSync(join(tmpdir(), "curia-bench-"));
const putScript = join(import.meta.dirname, "put.lua");

const rate = ({ perSecond, p50Ms, p99Ms, errors }: Rate) =>
  `${Math.round(perSecond)}/s p50 ${p50Ms.toFixed(2)} p99 ${p99Ms.toFixed(2)} ms` +
  (errors > 0 ? ` (${errors} errors)` : "");

function compare(work: string, ours: Rate, floor: Rate | undefined, goal: string): void {
  const ratio = floor === undefined ? "–" : (ours.perSecond / floor.perSecond).toFixed(2);
  rows.push({ work, ours: rate(ours), floor: floor ? rate(floor) : "–", ratio, goal });
  console.error(`${work}: ${rate(ours)} | floor ${floor ? rate(floor) : "–"} | ${ratio}`);
}

/** Runs a floor program while `work` measures it. */
async function withFloor(args: string[], work: () => Promise<Rate>): Promise<Rate> {
  const program = Bun.spawn([process.execPath, ...args], { stdout: "pipe", stderr: "inherit" });
  await program.stdout.getReader().read();
  try {
    return await work();
  } finally {
    program.kill();
    await program.exited;
  }
}

async function floorGet(body: Uint8Array): Promise<Rate> {
  const file = join(folder, "body");
  writeFileSync(file, body);
  const floor = join(import.meta.dirname, "floors/http.ts");
  return await withFloor(
    [floor, "19500", file],
    () => measure({ url: "http://127.0.0.1:19500/v1/kv/a", seconds }),
  );
}

/** Measures a path of ours and a bare server that returns the same bytes. */
async function get(node: TestNode, work: string, path: string, goal: string): Promise<void> {
  const body = await (await node.fetch(path)).bytes();
  const floor = await floorGet(body);
  const ours = await measure({ url: node.http + path, seconds });
  compare(work, ours, floor, goal);
}

async function registerTen(node: TestNode): Promise<void> {
  for (let n = 1; n <= 10; n++) {
    await node.put("/v1/catalog/register", {
      Node: `bench-${n}`,
      Address: `10.0.0.${n}`,
      Service: { ID: `web-${n}`, Service: "web", Port: 8000 + n, Tags: ["v1"] },
      Check: { CheckID: `web-${n}`, Name: "up", Status: "passing", ServiceID: `web-${n}` },
    });
  }
}

async function oneServer(): Promise<void> {
  const net = loopbackNet();
  const startedMs = performance.now();
  const node = new TestNode({ name: "bench-1", address: net(1), bootstrapExpect: 1 }).start();
  try {
    await until("the first write", 20_000, async () => {
      const response = await node.fetch("/v1/kv/a", { method: "PUT", body: "first" })
        .catch(() => undefined);
      return response?.ok === true;
    });
    const firstWriteMs = performance.now() - startedMs;
    rows.push({
      work: "start to first write",
      ours: `${Math.round(firstWriteMs)} ms`,
      floor: "–",
      ratio: "–",
      goal: "≤ 880 ms (0.4 of Consul)",
    });
    rows.push(memoryRow("memory after start", node));
    if (wants("kv-get")) {
      await get(node, "KV GET default", "/v1/kv/a", "≥ 0.65");
      await get(node, "KV GET stale", "/v1/kv/a?stale", "–");
      await get(node, "KV GET consistent", "/v1/kv/a?consistent", "–");
    }
    if (wants("health")) {
      await registerTen(node);
      await get(node, "health, 10 instances", "/v1/health/service/web", "≥ 0.60");
    }
    if (wants("kv-put")) {
      const floor = await withFloor(
        [join(import.meta.dirname, "floors/put.ts"), "19501", join(folder, "floor.db")],
        () => measure({ url: "http://127.0.0.1:19501", seconds, script: putScript }),
      );
      const ours = await measure({ url: node.http, seconds, script: putScript });
      compare("KV PUT durable, 1 server, 64 connections", ours, floor, "≥ 0.65");
    }
    rows.push(memoryRow("memory after load (PSS)", node));
  } finally {
    await node.remove();
  }
}

function memoryRow(work: string, node: TestNode): Row {
  return {
    work,
    ours: `${memoryMb(node.pid).toFixed(0)} MB`,
    floor: "–",
    ratio: "–",
    goal: "≤ 190 MB",
  };
}

async function threeServers(): Promise<void> {
  const net = loopbackNet();
  const nodes = [1, 2, 3].map((n) =>
    new TestNode({
      name: `bench-${n}`,
      address: net(n),
      bootstrapExpect: 3,
      retryJoin: [net(1), net(2), net(3)],
    }).start()
  );
  try {
    await Promise.all(nodes.map((node) => node.ready()));
    const ours = await measure({ url: nodes[0]!.http, seconds, script: putScript });
    compare("KV PUT, 3 servers on the machine", ours, undefined, "≥ 17.4k/s (2 × Consul)");
  } finally {
    await Promise.all(nodes.map((node) => node.remove()));
  }
}

try {
  await oneServer();
  if (wants("kv-put-3")) await threeServers();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log("| work | Curia | floor | ratio | goal |\n| --- | --- | --- | --- | --- |");
for (const { work, ours, floor, ratio, goal } of rows) {
  console.log(`| ${work} | ${ours} | ${floor} | ${ratio} | ${goal} |`);
}
