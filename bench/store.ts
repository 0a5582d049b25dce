// Rates of the replicated state alone: `bun bench/store.ts [keys] [value bytes]`.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, LogRecord, Query } from "#proto/messages.js";
import type { CommandInput } from "#proto/messages.js";
import { Random } from "#shared/random.ts";
import { Store } from "../services/raftd/state/store.ts";
import type { ApplyEntry } from "../services/raftd/state/store-types.ts";

const keyCount = Number(process.argv[2] ?? 100_000);
const valueBytes = Number(process.argv[3] ?? 100);
const directory = mkdtempSync(join(tmpdir(), "curia-bench-"));
const store = new Store(join(directory, "state-1.db"));
const random = new Random(1);
const encoder = new TextEncoder();
let index = 0;
let sequence = 0;

function entry(command: CommandInput): ApplyEntry {
  index++;
  sequence++;
  const bytes = LogRecord.encode({
    client: "6cf4f0a5-0000-4000-8000-bench0000000",
    sequence,
    floor: Math.max(1, sequence - 64),
    command: Command.encode(Command.create(command)).finish(),
  }).finish();
  return { index, term: 1, kind: "command", stampMs: index, bytes };
}

const keyOf = (n: number) => encoder.encode(`service/config/${n}`);
const value = () => {
  const bytes = new Uint8Array(valueBytes);
  for (let i = 0; i < bytes.length; i++) bytes[i] = random.uint32();
  return bytes;
};

/** Runs the work in parts; the best part tells what the code can do on a machine that others use. */
function rate(name: string, count: number, parts: (() => void)[]): void {
  const before = process.cpuUsage();
  const start = performance.now();
  let bestMs = Infinity;
  for (const part of parts) {
    const partStart = performance.now();
    part();
    bestMs = Math.min(bestMs, performance.now() - partStart);
  }
  const { user, system } = process.cpuUsage(before);
  const perSecond = (n: number, ms: number) => Math.round(n / ms * 1000).toLocaleString("en");
  const mean = perSecond(count, performance.now() - start);
  const best = perSecond(count / parts.length, bestMs);
  const cpuUs = ((user + system) / count).toFixed(1);
  console.log(
    `${name.padEnd(38)} ${mean.padStart(9)}/s  best ${best.padStart(9)}/s ` +
      `${cpuUs.padStart(7)} us CPU each`,
  );
}

/** The same work a number of times, in equal parts. */
function repeat(name: string, count: number, work: (n: number) => void): void {
  const partCount = 20;
  const size = Math.floor(count / partCount);
  const parts = Array.from({ length: partCount }, (_, part) => () => {
    for (let n = part * size; n < (part + 1) * size; n++) work(n);
  });
  rate(name, size * partCount, parts);
}

function batches(name: string, count: number, batchSize: number, command: () => CommandInput) {
  const all: ApplyEntry[][] = [];
  for (let done = 0; done < count; done += batchSize) {
    all.push(Array.from({ length: batchSize }, () => entry(command())));
  }
  const perPart = Math.ceil(all.length / 16);
  const parts: (() => void)[] = [];
  for (let at = 0; at < all.length; at += perPart) {
    const some = all.slice(at, at + perPart);
    parts.push(() => {
      for (const batch of some) store.apply(batch);
    });
  }
  rate(name, all.length * batchSize, parts);
  store.checkpoint();
}

let next = 0;
const set = (n: number): CommandInput => ({ kv: { key: keyOf(n), value: value() } });
const order = Array.from({ length: keyCount }, (_, n) => n);
random.shuffle(order);
batches("insert random keys, batches of 64", keyCount, 64, () => set(order[next++ % keyCount]!));
batches("set existing keys, batches of 64", 64_000, 64, () => set(random.below(keyCount)));
batches("set existing keys, batches of 256", 64_000, 256, () => set(random.below(keyCount)));
batches("set among 1,000 keys, batches of 64", 64_000, 64, () => set(random.below(1_000)));
batches("set one by one", 4_000, 1, () => set(random.below(1_000)));

const reads = Array.from(
  { length: 200_000 },
  () => Query.create({ kvGet: { key: keyOf(random.below(keyCount)) } }),
);
repeat("point reads", reads.length, (n) => store.read(reads[n]!));
const known = reads.map((query) => [query, store.read(query).meta!.index] as const);
repeat("point reads, unchanged", known.length, (n) => store.read(...known[n]!));
const few = reads.slice(0, 1_000);
repeat("point reads among 1,000 keys", 200_000, (n) => store.read(few[n % few.length]!));
const all = Query.create({ kvList: { prefix: encoder.encode("service/") } });
let longestMs = 0;
rate("rows of a list in slices", keyCount, [() => {
  let last = performance.now();
  for (const _ of store.readSlices(all)) {
    longestMs = Math.max(longestMs, performance.now() - last);
    last = performance.now();
  }
}]);
console.log(`longest slice ${longestMs.toFixed(1)} ms`);

const instances = 10;
for (let n = 0; n < instances; n++) {
  const node = { node: `node-${n}`, address: `10.0.0.${n}`, datacenter: "dc1" };
  const service = { id: "web", service: "web", port: 80, tags: ["a", "b"] };
  const checks = [
    { checkId: "serfHealth", name: "Serf Health Status", status: "passing" },
    { checkId: "web", name: "web", status: "passing", serviceId: "web" },
  ];
  store.apply([entry({ register: { node, service, checks } })]);
}
const health = Query.create({ instances: { service: "web", withChecks: true } });
repeat("health of 10 instances", 100_000, () => store.read(health));
const healthIndex = store.read(health).meta!.index;
repeat("health of 10 instances, unchanged", 200_000, () => store.read(health, healthIndex));
let flip = 0;
batches("check updates, batches of 64", 32_000, 64, () => {
  flip++;
  const node = { node: `node-${flip % instances}`, address: `10.0.0.${flip % instances}` };
  const check = { checkId: "web", name: "web", serviceId: "web", output: `run ${flip}` };
  return { register: { node, skipNodeUpdate: true, checks: [{ ...check, status: "passing" }] } };
});
console.log(`content hash ${store.contentHash()}, applied ${store.applied().index}`);
store.close();
rmSync(directory, { recursive: true });
