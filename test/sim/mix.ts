// What one run is made of, drawn from its seed: each seed gets its own mix of sizes and faults, for
// faults that always come together hide one another (swarm testing).

import type { Random } from "#shared/random.ts";
import type { NetworkMix } from "./network.ts";
import type { DiskMix } from "./world.ts";

export const faultKinds = [
  "crash",
  "power-loss",
  "crash-all",
  "pause",
  "split",
  "isolate",
  "one-way",
  "bridge",
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

export interface Mix {
  readonly serverCount: number;
  readonly clientCount: number;
  readonly clientPauseMaxMs: number;
  readonly isBootstrappedByAll: boolean;
  readonly isTiny: boolean;
  readonly checkpointEvery: number;
  readonly network: NetworkMix;
  readonly disk: DiskMix;
  readonly faults: readonly FaultKind[];
  readonly faultEveryMs: number;
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

export function drawMix(random: Random): Mix {
  const isRough = random.chance(0.6);
  return {
    serverCount: random.pick([1, 3, 3, 3, 3, 5, 5]),
    clientCount: random.pick([2, 4, 6]),
    clientPauseMaxMs: random.pick([20, 100, 400]),
    isBootstrappedByAll: random.chance(0.5),
    isTiny: random.chance(0.8),
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
  };
}
