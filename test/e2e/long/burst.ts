// A gigabyte of writes over the same few keys, with real nodes: on every server the log and the
// state stay within twice the live data, while it is written and when it is over. CURIA_BURST_MB
// sets how much.

import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Random } from "#shared/random.ts";
import { Cluster } from "../cluster.ts";
import { type TestNode, until } from "../node.ts";

const MB = 1_000_000;
const burstBytes = Number(process.env["CURIA_BURST_MB"] ?? "1000") * MB;
/** Beside twice the live data: write-ahead logs that are in use, empty tables, what is in flight. */
const duringBytes = 64 * MB;
const writers = 8;
const seed = Number(process.env["CURIA_SEED"] ?? Math.floor(Math.random() * 1e9));

interface Load {
  name: string;
  keys: number;
  bytesMin: number;
  bytesMax: number;
  burstBytes: number;
  /** Keys set by one request. */
  batch: number;
  /** Beside twice the live data when nothing is under way: what a small state keeps free. */
  afterBytes: number;
}

const loads: Load[] = [
  {
    name: "large",
    keys: 128,
    bytesMin: 100_000,
    bytesMax: 500_000,
    burstBytes,
    batch: 1,
    afterBytes: 0,
  },
  {
    name: "kilo",
    keys: 20_000,
    bytesMin: 1_000,
    bytesMax: 1_000,
    burstBytes: burstBytes / 8,
    batch: 64,
    afterBytes: 16 * MB,
  },
  {
    name: "small",
    keys: 100_000,
    bytesMin: 100,
    bytesMax: 100,
    burstBytes: burstBytes / 40,
    batch: 64,
    afterBytes: 16 * MB,
  },
];

const cluster = new Cluster({ servers: 3 });
beforeAll(() => cluster.start(), 120_000);
afterAll(() => cluster.remove(), 60_000);

const random = new Random(seed);

function filesOf(node: TestNode): Record<string, number> {
  const folder = join(node.folder, "data/raft");
  const sizes: Record<string, number> = {};
  for (const name of readdirSync(folder)) {
    sizes[name] = statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0;
  }
  return sizes;
}
/** What is in the log, for the reader of a failure. */
function logOf(node: TestNode): unknown {
  const db = new Database(join(node.folder, "data/raft/log.db"), { readonly: true });
  const sums = "SELECT min(idx), max(idx), sum(length(record)) FROM entries";
  const facts = [sums, "SELECT * FROM positions", "PRAGMA freelist_count"]
    .map((query) => db.query(query).values());
  db.close();
  return facts;
}
const sum = (sizes: Record<string, number>) => Object.values(sizes).reduce((a, b) => a + b, 0);
const used = (node: TestNode) => sum(filesOf(node));
const mb = (bytes: number) => `${(bytes / MB).toFixed(1)} MB`;

const live = new Map<string, number>();
const liveBytes = () => [...live.values()].reduce((a, b) => a + b, 0);

/** Refused or without an outcome, by what was answered: such a write is sent again. */
const notDone: string[] = [];

async function put(node: TestNode, key: string, value: Uint8Array): Promise<void> {
  for (let tries = 1;; tries++) {
    const response = await node.fetch(`/v1/kv/${key}`, { method: "PUT", body: value });
    const text = await response.text();
    if (response.ok) return;
    notDone.push(`${response.status} ${text}`);
    if (tries === 5) throw new Error(`${key}: ${response.status} ${text}`);
  }
}

async function putAll(node: TestNode, sets: Map<string, Uint8Array>): Promise<void> {
  const operations = [...sets].map(([Key, value]) => ({
    KV: { Verb: "set", Key, Value: Buffer.from(value).toString("base64") },
  }));
  const response = await node.fetch("/v1/txn", {
    method: "PUT",
    body: JSON.stringify(operations),
  });
  if (!response.ok) throw new Error(`txn: ${response.status} ${await response.text()}`);
}

async function write(load: Load, bytes: number): Promise<void> {
  const node = await cluster.leader();
  const noise = crypto.getRandomValues(new Uint8Array(65_536));
  let sent = 0;
  const writer = async () => {
    while (sent < bytes) {
      const sets = new Map<string, Uint8Array>();
      for (let n = 0; n < load.batch; n++) {
        const value = new Uint8Array(
          load.bytesMin + random.below(load.bytesMax - load.bytesMin + 1),
        );
        for (let at = 0; at < value.length; at += noise.length) {
          value.set(noise.subarray(0, Math.min(noise.length, value.length - at)), at);
        }
        sets.set(`${load.name}/${random.below(load.keys)}`, value);
      }
      for (const [key, value] of sets) {
        sent += value.length;
        live.set(key, key.length + value.length);
      }
      if (load.batch === 1) { for (const [key, value] of sets) await put(node, key, value); }
      else await putAll(node, sets);
    }
  };
  await Promise.all(Array.from({ length: writers }, writer));
}

/** The largest each server's folder ever was beyond what it may be, looked at again and again. */
class Watcher {
  readonly peaks: number[] = cluster.servers.map(() => 0);
  readonly files: Record<string, number>[] = cluster.servers.map(() => ({}));
  #isStopped = false;
  readonly #done: Promise<void>;

  constructor() {
    this.#done = this.#watch();
  }

  async #watch(): Promise<void> {
    while (!this.#isStopped) {
      if (!cluster.servers.every(({ folder }) => existsSync(folder))) return;
      cluster.servers.forEach((node, n) => {
        const sizes = filesOf(node);
        if (sum(sizes) > this.peaks[n]!) [this.peaks[n], this.files[n]] = [sum(sizes), sizes];
      });
      await Bun.sleep(100);
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }
}

const chosen = process.env["CURIA_LOADS"]?.split(" ");

for (const load of loads) {
  if (chosen !== undefined && !chosen.includes(load.name)) continue;
  test(`${mb(load.burstBytes)} of ${load.name} values leave log and state small`, async () => {
    console.log(`seed ${seed}`);
    const startedMs = performance.now();
    const watcher = new Watcher();
    await write(load, load.burstBytes);
    await watcher.stop();
    const tookMs = performance.now() - startedMs;
    const terms = await Promise.all(
      cluster.servers.map((node) => node.counted("raftd", /^raftd_term /)),
    );
    const bound = 2 * liveBytes() + duringBytes;
    const afterwards = cluster.servers.map(used);
    console.log(
      `${load.name}: ${mb(load.burstBytes)} in ${(tookMs / 1_000).toFixed(1)} s, live ` +
        `${mb(liveBytes())}, peaks ${watcher.peaks.map(mb).join(" ")}, ` +
        `after ${afterwards.map(mb).join(" ")}, ${notDone.length} writes sent again, ` +
        `in the end term ${Math.max(...terms)}; ` +
        `${notDone.slice(0, 3).join("; ")}\n${JSON.stringify(watcher.files)}`,
    );
    expect(Math.max(...watcher.peaks)).toBeLessThan(bound);
    await until(
      "log and state are within twice the live data",
      90_000,
      () => cluster.servers.every((node) => used(node) <= 2 * liveBytes() + load.afterBytes),
      () => cluster.servers.map((node) => JSON.stringify([filesOf(node), logOf(node)])).join("\n"),
    );
    console.log(
      `${load.name}: in the end ${cluster.servers.map((node) => mb(used(node))).join(" ")}`,
    );
  }, 230_000);
}
