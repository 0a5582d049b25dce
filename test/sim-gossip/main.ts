// The big figures: `bun test/sim-gossip/main.ts [--seed N] [--sizes 10,100] [scenario]…`, the scenarios
// being spread, stalls (or stalls-blocked, stalls-frozen), partition, loss and memory.
import {
  formPool,
  measureFailure,
  measureJoin,
  measureLeave,
  measureLoss,
  measurePartition,
  measureStalls,
  measureTraffic,
  type Spread,
  stockLifeguard,
  withoutLifeguard,
} from "./scenarios.ts";
import { consulVersions } from "../../services/gossipd/core/settings.ts";
import {
  encodeStreamMessage,
  nodeStates,
  type PushPullNode,
} from "../../services/gossipd/core/wire/memberlist.ts";
import { encodeTags } from "../../services/gossipd/core/wire/tags.ts";
import { addressOf, World } from "./world.ts";

const args = process.argv.slice(2);
const seedAt = args.indexOf("--seed");
const seed = seedAt >= 0 ? Number(args.splice(seedAt, 2)[1]) : 1;
const sizesAt = args.indexOf("--sizes");
const sizes = sizesAt >= 0 ? args.splice(sizesAt, 2)[1]!.split(",").map(Number) : [10, 100, 1000];
const wanted = args.length > 0 ? args : ["spread", "stalls", "partition", "loss", "memory"];

console.log(`seed ${seed}`);
if (wanted.includes("spread")) { for (const size of sizes) spread(size); }
for (const mode of ["blocked", "frozen"] as const) {
  if (wanted.includes("stalls") || wanted.includes(`stalls-${mode}`)) stalls(mode);
}
if (wanted.includes("partition")) partition();
if (wanted.includes("loss")) loss();
if (wanted.includes("memory")) memory();

function spread(size: number): void {
  const began = performance.now();
  const world = formPool(size, { seed });
  const rounds = Math.ceil(Math.log2(size));
  console.log(`\n${size} nodes; gossip round 200 ms, log2(n) = ${rounds}`);
  const measures: [string, (world: World) => Spread][] = [
    ["join", measureJoin],
    ["failure", measureFailure],
    ["leave", measureLeave],
  ];
  for (const [name, measure] of measures) {
    const { firstMs, halfMs, allMs } = measure(world);
    const inRounds = ((allMs - firstMs) / 200).toFixed(1);
    const seconds = (ms: number) => (ms / 1000).toFixed(2).padStart(7);
    console.log(
      `${name.padEnd(8)} first ${seconds(firstMs)} s, half ${seconds(halfMs)} s, ` +
        `all ${seconds(allMs)} s; from first to all ${inRounds} rounds`,
    );
  }
  const cpuBefore = process.cpuUsage();
  const traffic = measureTraffic(world, 60);
  const { user, system } = process.cpuUsage(cpuBefore);
  // The simulator's own part is in it: an upper bound for the machine.
  const cpuShare = (user + system) / 1e6 / 60 / size;
  console.log(
    `quiet    ${traffic.packetsPerSecond.toFixed(2)} packets/s, ` +
      `${traffic.bytesPerSecond.toFixed(0)} B/s, ` +
      `streams ${traffic.streamBytesPerSecond.toFixed(0)} B/s, ` +
      `CPU ${(cpuShare * 100).toFixed(3)} % of a core per node`,
  );
  console.log(`real     ${((performance.now() - began) / 1000).toFixed(1)} s`);
}

function stalls(mode: "blocked" | "frozen"): void {
  console.log("\n128 nodes, 5 % stalled for 1 to 20 s again and again, 5 minutes, 3 seeds");
  console.log(mode === "frozen" ? "whole process stopped:" : "sending and receiving stopped:");
  const profiles = { withoutLifeguard, stockLifeguard, curia: {} };
  for (const [name, profile] of Object.entries(profiles)) {
    let aboutHealthy = 0;
    let aboutAny = 0;
    let healed = true;
    for (let i = 0; i < 3; i++) {
      const result = measureStalls(128, {
        seed: seed + i,
        profile,
        stalledShare: 0.05,
        stallMs: 20_000,
        minutes: 5,
        mode,
      });
      aboutHealthy += result.aboutHealthy;
      aboutAny += result.aboutAny;
      healed &&= result.healed;
    }
    console.log(
      `${name.padEnd(17)} reports of failure about healthy members ${aboutHealthy}, ` +
        `about any ${aboutAny}; in the end all see all: ${healed}`,
    );
  }
}

function partition(): void {
  const { splitMs, healedMs } = measurePartition(500, { seed, share: 0.4 });
  console.log(
    `\n500 nodes split 200/300: all failures seen after ${(splitMs / 1000).toFixed(1)} s`,
  );
  console.log(`healed: views equal after ${(healedMs / 1000).toFixed(0)} s`);
}

function loss(): void {
  const { failedReports, failedForGood } = measureLoss(100, { seed, lossShare: 0.2, minutes: 10 });
  console.log(`\n100 nodes, 20 % loss, 10 minutes: ${failedReports} reports of failure,`);
  console.log(`${failedForGood} live members held for failed in the end`);
}

/** One machine that knows many members, as servers of a large datacenter do. */
function memory(): void {
  const members = 5_000;
  const world = new World({ seed });
  const node = world.add();
  Bun.gc(true);
  const before = process.memoryUsage();
  const nodes = Array.from({ length: members }, (_, i): PushPullNode => ({
    Addr: addressOf(i + 1),
    Incarnation: 1,
    Meta: encodeTags(
      new Map([
        ["role", "node"],
        ["dc", "dc1"],
        ["segment", ""],
        ["id", `8f246b77-f3e1-ff88-5b48-${String(i).padStart(12, "0")}`],
        ["vsn", "2"],
        ["vsn_min", "2"],
        ["vsn_max", "3"],
        ["build", "1.21.0:"],
        ["curia", "0.1.0"],
      ]),
    ),
    Name: `node-${i + 1}`,
    Port: 8301,
    State: nodeStates.alive,
    Vsn: consulVersions,
  }));
  const body = { join: true, nodes, userState: new Uint8Array() };
  const message = encodeStreamMessage({ kind: "pushPull", body });
  nodes.length = 0;
  const from = { address: addressOf(1), port: 8301 };
  const began = performance.now();
  world.step(node, { kind: "received-stream", stream: 1, from, message });
  const mergeMs = performance.now() - began;
  world.reports.length = 0;
  Bun.gc(true);
  const after = process.memoryUsage();
  const mb = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);
  const known = node.pool.members().length - 1;
  console.log(
    `\n${known} members: merged in ${mergeMs.toFixed(0)} ms from ${mb(message.length)} MB, ` +
      `heap +${mb(after.heapUsed - before.heapUsed)} MB, resident +${
        mb(after.rss - before.rss)
      } MB`,
  );
}
