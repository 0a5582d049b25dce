// The simulator's own proof: faults planted into the protocol are found.

import { expect, test } from "bun:test";
import { Store } from "../../services/raftd/state/store.ts";
import { type Mutant, mutants, plant, plantStore, storeMutants } from "./mutants.ts";
import { runSeed } from "./run.ts";
import { type OpenStore, StoreStates } from "./store-state.ts";
import type { RaftFactory } from "./world.ts";

/** Seeds tried beyond the one that found it last. */
const SEEDS_MAX = 60;

const kinds = [
  ...mutants.map((mutant) => [mutant.name, mutant, false] as const),
  ...storeMutants.map((mutant) => [mutant.name, mutant, true] as const),
];

/** The first seed that shows the fault. */
async function findSeed(mutant: Mutant, isInStore: boolean): Promise<number | undefined> {
  const createRaft = isInStore ? undefined : await plant(mutant);
  const openStore = isInStore ? await plantStore(mutant) : undefined;
  const others = Array.from({ length: SEEDS_MAX }, (_, i) => i + 1);
  return [mutant.seed, ...others].find((seed) =>
    violationOf(mutant, seed, createRaft, openStore) !== undefined
  );
}

function violationOf(
  { flavour, faults }: Mutant,
  seed: number,
  createRaft: RaftFactory | undefined,
  openStore: OpenStore | undefined,
): string | undefined {
  const states = openStore && new StoreStates(openStore);
  const minutes = states ? 0.3 : 1;
  const { violation } = runSeed({ seed, minutes, flavour, faults, createRaft, states });
  states?.close();
  return violation;
}

test.each(kinds)("finds: %s", async (_, mutant, isInStore) => {
  const seed = await findSeed(mutant, isInStore);
  expect(seed).toBeDefined();
  // The production code passes where the mutant fails, so it was the fault that was found.
  const openStore = isInStore ? (path: string) => new Store(path) : undefined;
  expect(violationOf(mutant, seed!, undefined, openStore)).toBeUndefined();
  if (seed !== mutant.seed) console.log(`${mutant.name}: found at seed ${seed}, note it`);
}, 120_000);
