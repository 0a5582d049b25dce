// What the gossip simulator measures: how fast news spreads, who is wrongly declared failed, and
// whether views are equal again after a split.
import type { Profile } from "../../services/gossipd/core/settings.ts";
import { type SimNode, World, type WorldOptions } from "./world.ts";

/** A pool of `size` nodes that all know each other, its queues drained. */
export function formPool(size: number, options: WorldOptions): World {
  const world = new World(options);
  for (let i = 0; i < size; i++) {
    const node = world.add();
    if (i > 0) world.at(i * 20, () => world.join(node, world.nodes[world.random.below(i)]!));
  }
  const everyone = size * size;
  let joined = world.reports.filter((report) => report.change === "joined").length;
  world.onReport = (report) => {
    if (report.change === "joined") joined++;
  };
  const isWhole = world.run(size * 20 + 300_000, () => joined >= everyone);
  if (!isWhole) throw new Error(`seed ${options.seed}: ${size} nodes do not find each other`);
  world.onReport = undefined;
  const isQuiet = () => world.nodes.every((node) => node.pool.queueLengths.swim === 0);
  while (!isQuiet()) world.run(world.nowMs + 1_000);
  world.reports.length = 0;
  return world;
}

export interface Spread {
  /** Until the first, half of, and all of the others have it. */
  firstMs: number;
  halfMs: number;
  allMs: number;
  othersCount: number;
}

function spreadOf(
  world: World,
  about: SimNode,
  changes: string[],
  begin: () => void,
  limitMs: number,
): Spread {
  const startMs = world.nowMs;
  const heard = new Map<SimNode, number>();
  world.onReport = (report) => {
    if (report.about !== about.name || report.by === about) return;
    if (changes.includes(report.change)) heard.set(report.by, report.atMs - startMs);
  };
  begin();
  const others = world.nodes.filter((node) => node !== about && node.isUp).length;
  const isDone = world.run(startMs + limitMs, () => heard.size >= others);
  world.onReport = undefined;
  if (!isDone) {
    throw new Error(`only ${heard.size} of ${others} heard ${changes} about ${about.name}`);
  }
  const times = [...heard.values()].sort((a, b) => a - b);
  const at = (share: number) =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
  return { firstMs: at(0), halfMs: at(0.5), allMs: at(1), othersCount: others };
}

export function measureJoin(world: World): Spread {
  const node = world.add();
  const contact = world.nodes[world.random.below(world.nodes.length - 1)]!;
  return spreadOf(world, node, ["joined"], () => world.join(node, contact), 120_000);
}

export function measureLeave(world: World): Spread {
  const node = world.nodes[world.random.below(world.nodes.length)]!;
  return spreadOf(
    world,
    node,
    ["left"],
    () => world.step(node, { kind: "leave-requested" }),
    120_000,
  );
}

export function measureFailure(world: World): Spread {
  const node = world.nodes.filter((one) => one.isUp && one.pool.leaveStage === "no").at(-1)!;
  return spreadOf(world, node, ["failed"], () => world.kill(node), 300_000);
}

export const withoutLifeguard: Partial<Profile> = {
  awarenessMax: 1,
  suspicionMult: 5,
  suspicionMaxTimeoutMult: 1,
  nacks: false,
  buddy: false,
  stallMs: Infinity,
};

export const stockLifeguard: Partial<Profile> = { stallMs: Infinity };

export interface FalsePositives {
  /** Reports of failure about members that never stalled, and about all live ones. */
  aboutHealthy: number;
  aboutAny: number;
  /** Whether in the end all see all as alive. */
  healed: boolean;
}

export interface StallOptions extends WorldOptions {
  stalledShare: number;
  stallMs: number;
  minutes: number;
  /** The whole process stops, or only its sending and receiving. */
  mode: "frozen" | "blocked";
}

/** A share of the members stalls again and again for up to `stallMs`, with short breaks. */
export function measureStalls(size: number, options: StallOptions): FalsePositives {
  const world = formPool(size, options);
  const stalled = new Set(
    world.random.shuffle([...world.nodes]).slice(0, Math.ceil(size * options.stalledShare)),
  );
  const names = new Set([...stalled].map((node) => node.name));
  const endMs = world.nowMs + options.minutes * 60_000;
  for (const node of stalled) {
    const again = () => {
      if (world.nowMs >= endMs) return;
      const forMs = world.random.between(1_000, options.stallMs);
      if (options.mode === "frozen") world.pause(node, forMs);
      else world.block(node, forMs);
      world.at(world.nowMs + forMs + world.random.between(1, 500), again);
    };
    world.at(world.nowMs + world.random.between(0, options.stallMs), again);
  }
  world.run(endMs);
  const failed = world.reports.filter((report) => report.change === "failed");
  const aboutHealthy = failed.filter((report) => !names.has(report.about)).length;
  world.run(world.nowMs + 180_000);
  return { aboutHealthy, aboutAny: failed.length, healed: viewsAreWhole(world) };
}

/** Every live node sees exactly the live nodes as alive. */
export function viewsAreWhole(world: World): boolean {
  const up = world.nodes.filter((node) => node.isUp);
  const names = new Set(up.map((node) => node.name));
  return up.every((node) => {
    const alive = node.pool.members().filter((member) => member.status === "alive");
    return alive.length === names.size && alive.every((member) => names.has(member.name));
  });
}

export interface Healing {
  /** Until both sides saw the other side as failed, and after healing until views were equal. */
  splitMs: number;
  healedMs: number;
}

/** Cuts off `share` of the nodes for `splitMs`, then lets them see each other again. */
export function measurePartition(
  size: number,
  options: WorldOptions & { share: number },
): Healing {
  const world = formPool(size, options);
  const cut = Math.floor(size * options.share);
  for (const node of world.nodes.slice(0, cut)) node.side = 1;
  const expected = 2 * cut * (size - cut);
  const startMs = world.nowMs;
  let failed = 0;
  world.onReport = (report) => {
    if (report.change === "failed") failed++;
  };
  if (!world.run(startMs + 900_000, () => failed >= expected)) {
    throw new Error(`seed ${options.seed}: only ${failed} of ${expected} failures were seen`);
  }
  const splitMs = world.nowMs - startMs;
  for (const node of world.nodes) node.side = 0;
  const healMs = world.nowMs;
  world.onReport = undefined;
  for (let checks = 0; checks < 3_600 && !viewsAreWhole(world); checks++) {
    world.run(world.nowMs + 1_000);
  }
  if (!viewsAreWhole(world)) throw new Error(`seed ${options.seed}: views did not become equal`);
  return { splitMs, healedMs: world.nowMs - healMs };
}

export interface Loss {
  failedReports: number;
  /** Live members that some live member still holds for failed in the end. */
  failedForGood: number;
}

export function measureLoss(
  size: number,
  options: WorldOptions & { lossShare: number; minutes: number },
): Loss {
  const world = formPool(size, options);
  world.run(world.nowMs + options.minutes * 60_000);
  const failedReports = world.reports.filter((report) => report.change === "failed").length;
  // What was wrongly declared gets the time of one reconnect to be repaired.
  for (let checks = 0; checks < 120 && !viewsAreWhole(world); checks++) {
    world.run(world.nowMs + 1_000);
  }
  const failed = world.nodes.flatMap((node) =>
    node.pool.members().filter((member) => member.status === "failed")
  );
  return { failedReports, failedForGood: failed.length };
}

export interface Traffic {
  packetsPerSecond: number;
  bytesPerSecond: number;
  streamBytesPerSecond: number;
}

/** Per node, in a quiet pool. */
export function measureTraffic(world: World, seconds: number): Traffic {
  const sum = (what: (node: SimNode) => number) =>
    world.nodes.reduce((total, node) => total + what(node), 0);
  const before = [
    sum((node) => node.sentPackets),
    sum((node) => node.sentBytes),
    sum((node) => node.streamBytes),
  ];
  world.run(world.nowMs + seconds * 1_000);
  const per = (total: number, start: number) => (total - start) / world.nodes.length / seconds;
  return {
    packetsPerSecond: per(sum((node) => node.sentPackets), before[0]!),
    bytesPerSecond: per(sum((node) => node.sentBytes), before[1]!),
    streamBytesPerSecond: per(sum((node) => node.streamBytes), before[2]!),
  };
}
