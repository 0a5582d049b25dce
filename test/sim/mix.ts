// What one run is made of, drawn from its seed: each seed gets its own mix of sizes and faults, for
// faults that always come together hide one another (swarm testing). A flavour leans the mix to
// where one family of bugs lives.

import type { Random } from "#shared/random.ts";
import type { RaftSettings } from "../../services/raftd/core/raft/settings.ts";
import type { NetworkMix } from "./network.ts";
import type { DiskMix } from "./world.ts";

export const faultKinds = [
  "crash",
  "power-loss",
  "crash-some",
  "crash-all",
  "pause",
  "split",
  "isolate",
  "one-way",
  "bridge",
  "cut-pair",
  "squeeze",
  "heal",
  "clock-jump",
  "disk-stall",
  "disk-error",
  "disk-full",
  "bit-flip",
  "transfer",
  "member-change",
  "unreachable",
] as const;

export type FaultKind = typeof faultKinds[number];

export const flavours = ["any", "elections", "reads", "disks", "members", "snapshots"] as const;
export type Flavour = typeof flavours[number];

export interface Mix {
  readonly flavour: Flavour;
  readonly serverCount: number;
  readonly clientCount: number;
  readonly clientPauseMaxMs: number;
  /** How often a client does several things at once. */
  readonly txnShare: number;
  /** How often it does something about a session or a lock. */
  readonly lockShare: number;
  /** How often a client asks the server it lives with rather than any. */
  readonly pinnedShare: number;
  readonly isBootstrappedByAll: boolean;
  readonly settings: Partial<RaftSettings>;
  readonly checkpointEvery: number;
  readonly network: NetworkMix;
  readonly disk: DiskMix;
  readonly faults: readonly FaultKind[];
  readonly faultEveryMs: number;
  /** How often a server is hit just after it became leader. */
  readonly strikeChance: number;
  /** How often a server crashes just after it gave its vote. */
  readonly voterCrashChance: number;
  /** How long a crashed server stays away. */
  readonly restartsMs: readonly number[];
}

export const calmNetwork: NetworkMix = {
  delayMinMs: 0.1,
  delayMaxMs: 1,
  spikeChance: 0,
  spikeMs: 0,
  dropChance: 0,
  repeatChance: 0,
  isOrdered: true,
};

export function drawMix(random: Random, flavour = random.pick(flavours)): Mix {
  const isRough = random.chance(0.6);
  const mix: Mix = {
    flavour,
    serverCount: random.pick([1, 3, 3, 3, 3, 5, 5]),
    clientCount: random.pick([2, 4, 8]),
    clientPauseMaxMs: random.pick([10, 50, 300]),
    txnShare: random.pick([0, 0.25]),
    lockShare: random.pick([0, 0, 0.4]),
    pinnedShare: random.pick([0, 0.8]),
    isBootstrappedByAll: random.chance(0.5),
    settings: random.chance(0.8) ? tinySettings(random) : {},
    checkpointEvery: random.pick([5, 20, 100]),
    network: {
      delayMinMs: 0.1,
      delayMaxMs: random.pick([1, 3, 10, 30]),
      spikeChance: isRough ? random.pick([0, 0.01, 0.05]) : 0,
      spikeMs: random.pick([50, 200, 800]),
      dropChance: isRough ? random.pick([0, 0.005, 0.02, 0.1]) : 0,
      repeatChance: isRough ? random.pick([0, 0.01, 0.05]) : 0,
      isOrdered: random.chance(0.5),
    },
    disk: { syncMinMs: 0.1, syncMaxMs: random.pick([1, 5, 20]) },
    faults: faultKinds.filter(() => random.chance(0.45)),
    faultEveryMs: random.pick([300, 1_000, 3_000]),
    strikeChance: random.pick([0, 0.2]),
    voterCrashChance: random.pick([0, 0.05]),
    restartsMs: [0, 20, 100, 1_000, 5_000],
  };
  return leaned(mix, random);
}

/** Bounds that make rare paths common: tiny caches, trails, messages and pieces. */
function tinySettings(random: Random): Partial<RaftSettings> {
  return {
    appendEntriesMax: random.pick([1, 2, 8]),
    appendBytesMax: 2_048,
    inflightMessagesMax: random.pick([1, 4]),
    inflightBytesMax: 8_192,
    cacheEntriesMax: 16,
    trailingEntries: 10,
  };
}

function leaned(mix: Mix, random: Random): Mix {
  const withFaults = (...faults: FaultKind[]) => [...new Set([...mix.faults, ...faults])];
  switch (mix.flavour) {
    case "any":
      return mix;
    case "elections":
      return {
        ...mix,
        serverCount: random.pick([3, 5]),
        strikeChance: 0.6,
        voterCrashChance: random.pick([0, 0.2]),
        restartsMs: [0, 20, 100, 300],
        faults: withFaults("cut-pair", "one-way", "crash"),
        faultEveryMs: 400,
      };
    case "reads":
      return {
        ...mix,
        serverCount: 3,
        clientCount: 8,
        clientPauseMaxMs: 10,
        pinnedShare: random.pick([0.5, 0.9]),
        faults: random.pick([
          ["isolate", "transfer", "clock-jump"],
          ["pause"],
          ["split", "one-way", "transfer"],
          ["squeeze"],
        ]),
        restartsMs: [0, 0, 20],
        faultEveryMs: 300,
      };
    case "disks":
      return {
        ...mix,
        serverCount: 3,
        disk: { syncMinMs: 1, syncMaxMs: random.pick([30, 100]) },
        faults: withFaults("crash-some", "power-loss", "disk-stall"),
        faultEveryMs: 400,
        restartsMs: [0, 50, 400, 2_000],
      };
    case "members":
      return {
        ...mix,
        serverCount: random.pick([1, 3, 4]),
        faults: withFaults("member-change", "isolate", "crash"),
        strikeChance: random.pick([0, 0.3]),
        faultEveryMs: 250,
      };
    case "snapshots":
      return {
        ...mix,
        serverCount: 3,
        clientCount: 8,
        clientPauseMaxMs: random.pick([20, 100]),
        pinnedShare: 0.9,
        checkpointEvery: 5,
        settings: { ...tinySettings(random), trailingEntries: 2 },
        faults: withFaults("isolate", "power-loss", "pause"),
        faultEveryMs: 700,
      };
    default:
      return mix.flavour satisfies never;
  }
}
