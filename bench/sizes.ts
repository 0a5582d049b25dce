// What grows with the number of keys: restart, memory, lists, snapshots, and writes beside a
// snapshot; with a plain copy of the SQLite file as the floor. One real server.
// Usage: bun bench/sizes.ts [--keys 10000,100000,1000000] [--seconds 8] [--rate 500]

import {
  closeSync,
  copyFileSync,
  fsyncSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { loopbackNet, TestNode, until } from "../test/e2e/node.ts";
import { formatSpread, machineNote, spreadOf, table } from "./figures.ts";
import { killTree, memoryMb } from "./processes.ts";
import { WriteLoad } from "./write-load.ts";

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "10000,100000,1000000" },
    seconds: { type: "string", default: "8" },
    rate: { type: "string", default: "500" },
  },
});
const seconds = Number(values.seconds);
const SAVE_GOAL = 2;
/** Operations in a transaction, at most. */
const BATCH_MAX = 64;
const VALUE_BYTES = 150;

/** What was measured at one size, in the order of the table. */
type Figures = Map<string, number>;

const keyOf = (n: number) => `bench/sizes/${String(n).padStart(8, "0")}`;

/** Text that packs about as well as configuration does. */
function valueOf(n: number): string {
  const digest = Bun.CryptoHasher.hash("sha256", String(n), "hex");
  return `{"name":"service-${n}","url":"http://10.0.${n & 255}.1:8080/","token":"${digest}"}`
    .padEnd(VALUE_BYTES);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

async function fill(node: TestNode, keyCount: number): Promise<void> {
  let next = 0;
  const write = async () => {
    while (next < keyCount) {
      const first = next;
      next += BATCH_MAX;
      const count = Math.min(BATCH_MAX, keyCount - first);
      const operations = Array.from({ length: count }, (_, n) => {
        const Value = Buffer.from(valueOf(first + n)).toString("base64");
        return { KV: { Verb: "set", Key: keyOf(first + n), Value } };
      });
      await node.put("/v1/txn", operations);
    }
  };
  await Promise.all(Array.from({ length: 8 }, write));
}

async function download(node: TestNode, path: string): Promise<number> {
  // Compressing would be measured instead of the list.
  const response = await node.fetch(path, { headers: { "Accept-Encoding": "identity" } });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  let bytes = 0;
  for await (const chunk of response.body!) bytes += chunk.length;
  return bytes;
}

async function saveTo(node: TestNode, file: string): Promise<void> {
  const response = await node.fetch("/v1/snapshot");
  if (!response.ok) throw new Error(`snapshot: ${response.status} ${await response.text()}`);
  const sink = Bun.file(file).writer();
  for await (const chunk of response.body!) sink.write(chunk);
  await sink.end();
}

async function answers(node: TestNode, path: string, init?: RequestInit): Promise<void> {
  await until(path, 120_000, async () => {
    const response = await node.fetch(path, init).catch(() => undefined);
    await response?.arrayBuffer();
    return response?.ok === true;
  });
}

async function restart(node: TestNode, figures: Figures, how: string): Promise<void> {
  const startedMs = performance.now();
  node.start();
  const read = answers(node, `/v1/kv/${keyOf(1)}`).then(() => performance.now() - startedMs);
  await answers(node, "/v1/kv/bench/restarted", { method: "PUT", body: "x" });
  figures.set(`${how}: to first write, ms`, performance.now() - startedMs);
  figures.set(`${how}: to first read, ms`, await read);
}

/** A copy of the state file, written through: the least that a save or a restore could cost. */
function copyFloor(node: TestNode, figures: Figures): void {
  const folder = join(node.folder, "data/raft");
  const name = readdirSync(folder).find((each) => /^state-\d+\.db$/.test(each))!;
  const copy = join(node.folder, "floor.db");
  const startedMs = performance.now();
  copyFileSync(join(folder, name), copy);
  const fd = openSync(copy, "r+");
  fsyncSync(fd);
  closeSync(fd);
  figures.set("floor: copy of the state file, ms", performance.now() - startedMs);
  figures.set("state file, MB", statSync(copy).size / 1e6);
  rmSync(copy);
}

/** The same load without and with a snapshot that is saved again and again. */
async function writesDuringSave(
  node: TestNode,
  figures: Figures,
  keyCount: number,
  perSecond?: number,
) {
  const connections = 16;
  const name = perSecond === undefined ? `${connections} connections` : `${perSecond}/s`;
  const load = new WriteLoad({
    node,
    connections,
    perSecond,
    keyOf: (n) => keyOf(n * 7919 % keyCount),
  });
  await Bun.sleep(1_000);
  load.take();
  await Bun.sleep(seconds * 1_000);
  const quiet = load.take();
  let saves = 0;
  const saveMs: number[] = [];
  while (saves === 0 || saveMs.reduce((sum, ms) => sum + ms, 0) < seconds * 1_000) {
    saveMs.push(await timed(() => download(node, "/v1/snapshot")));
    saves++;
  }
  const busy = load.take();
  await load.stop();
  for (const { errors } of [quiet, busy]) {
    if (errors.length > 0) throw new Error(`${errors.length} writes failed: ${errors[0]}`);
  }
  const ratio = spreadOf(busy.tookMs).p99 / spreadOf(quiet.tookMs).p99;
  console.error(
    `writes, ${name}: ${quiet.tookMs.length}: ${formatSpread(quiet.tookMs)}; ` +
      `during ${saves} saves ${busy.tookMs.length}: ${formatSpread(busy.tookMs)}`,
  );
  figures.set(`writes at ${name}: p99, ms`, spreadOf(quiet.tookMs).p99);
  figures.set(`writes at ${name} during saves: p99, ms`, spreadOf(busy.tookMs).p99);
  figures.set(`writes at ${name}: ratio (goal ${SAVE_GOAL})`, ratio);
}

async function measureSize(keyCount: number): Promise<Figures> {
  const figures: Figures = new Map();
  const address = loopbackNet()(1);
  const node = new TestNode({ name: "sizes", address, bootstrapExpect: 1 }).start();
  const archive = join(node.folder, "archive.tgz");
  const note = (name: string, value: number) => {
    figures.set(name, value);
    console.error(`${keyCount} keys: ${name}: ${value.toFixed(1)}`);
  };
  try {
    await node.ready();
    note("fill, ms", await timed(() => fill(node, keyCount)));
    note("memory after the fill, MB", memoryMb(node.pid));
    note("?recurse, first, ms", await timed(() => download(node, "/v1/kv/bench/?recurse")));
    note("?recurse, second, ms", await timed(() => download(node, "/v1/kv/bench/?recurse")));
    note("?keys, ms", await timed(() => download(node, "/v1/kv/bench/?keys")));
    note("memory after the lists, MB", memoryMb(node.pid));
    note("save, ms", await timed(() => saveTo(node, archive)));
    note("archive, MB", statSync(archive).size / 1e6);
    await writesDuringSave(node, figures, keyCount, Number(values.rate));
    await writesDuringSave(node, figures, keyCount);
    note("memory after the saves, MB", memoryMb(node.pid));
    killTree(node.pid);
    await node.killAll();
    await restart(node, figures, "restart after kill -9");
    await node.stop();
    copyFloor(node, figures);
    await restart(node, figures, "restart after a stop");
    await node.ready();
    note("memory after restart, MB", memoryMb(node.pid));
    note("restore, ms", await timed(() => restore(node, archive)));
    const keys = await node.json<string[]>("/v1/kv/bench/sizes/?keys");
    if (keys.length !== keyCount) throw new Error(`${keys.length} keys after the restore`);
    note("memory after the restore, MB", memoryMb(node.pid));
  } finally {
    await node.remove();
  }
  return figures;
}

async function restore(node: TestNode, archive: string): Promise<void> {
  const response = await node.fetch("/v1/snapshot", { method: "PUT", body: Bun.file(archive) });
  const text = await response.text();
  if (!response.ok) throw new Error(`restore: ${response.status} ${text}`);
}

/** How a figure grows between two sizes: 1 with the keys, 0 not at all. */
function slope(sizes: number[], all: Figures[], name: string): string {
  if (all.length < 2) return "–";
  const [a, b] = [all.at(-2)!.get(name)!, all.at(-1)!.get(name)!];
  return (Math.log(b / a) / Math.log(sizes.at(-1)! / sizes.at(-2)!)).toFixed(2);
}

console.log(`before: ${machineNote()}`);
const sizes = values.keys.split(",").map(Number);
const all: Figures[] = [];
for (const size of sizes) all.push(await measureSize(size));
const rows = [...all[0]!.keys()].map((name) => [
  name,
  ...all.map((figures) => figures.get(name)!).map((value) => value.toFixed(value < 10 ? 2 : 0)),
  slope(sizes, all, name),
]);
console.log(table(["", ...sizes.map((size) => `${size} keys`), "slope of the last step"], rows));
console.log(`after: ${machineNote()}`);
