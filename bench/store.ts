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

function rate(name: string, count: number, work: () => void): void {
  const start = performance.now();
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - start) / 1000;
  const perSecond = Math.round(count / seconds).toLocaleString("en");
  const cpuUs = ((user + system) / count).toFixed(1);
  console.log(`${name.padEnd(40)} ${perSecond.padStart(10)}/s ${cpuUs.padStart(8)} us CPU each`);
}

function batches(name: string, count: number, batchSize: number, command: () => CommandInput) {
  const all: ApplyEntry[][] = [];
  for (let done = 0; done < count; done += batchSize) {
    all.push(Array.from({ length: batchSize }, () => entry(command())));
  }
  rate(name, count, () => {
    let sinceCheckpoint = 0;
    for (const batch of all) {
      store.apply(batch);
      sinceCheckpoint += batch.length;
      if (sinceCheckpoint >= 32_768) {
        store.checkpoint();
        sinceCheckpoint = 0;
      }
    }
  });
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
rate("point reads", reads.length, () => {
  for (const query of reads) store.read(query);
});
const known = reads.map((query) => [query, store.read(query).meta!.index] as const);
rate("point reads that answer unchanged", reads.length, () => {
  for (const [query, at] of known) store.read(query, at);
});
const all = Query.create({ kvList: { prefix: encoder.encode("service/") } });
let longestMs = 0;
rate("rows of a list in slices", keyCount, () => {
  let last = performance.now();
  for (const _ of store.readSlices(all)) {
    longestMs = Math.max(longestMs, performance.now() - last);
    last = performance.now();
  }
});
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
rate("health of 10 instances", 20_000, () => {
  for (let n = 0; n < 20_000; n++) store.read(health);
});
const healthIndex = store.read(health).meta!.index;
rate("health of 10 instances, unchanged", 200_000, () => {
  for (let n = 0; n < 200_000; n++) store.read(health, healthIndex);
});
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
