// The simulator's own proof: faults planted into the protocol are found.

import { expect, test } from "bun:test";
import { type Mutant, mutants, plant } from "./mutants.ts";
import { runSeed } from "./run.ts";

/** Seeds tried beyond the one that found it last. */
const SEEDS_MAX = 60;

/** The seed that shows the fault, and how. */
async function find(mutant: Mutant): Promise<{ seed: number; violation: string } | undefined> {
  const createRaft = await plant(mutant);
  const { flavour, faults } = mutant;
  const others = Array.from({ length: SEEDS_MAX }, (_, i) => i + 1);
  for (const seed of [mutant.seed, ...others]) {
    const { violation } = runSeed({ seed, minutes: 1, flavour, faults, createRaft });
    if (violation !== undefined) return { seed, violation };
  }
  return undefined;
}

test.each(mutants.map((mutant) => [mutant.name, mutant] as const))(
  "finds: %s",
  async (_, mutant) => {
    const found = await find(mutant);
    expect(found).toBeDefined();
    const { flavour, faults } = mutant;
    // The production core passes where the mutant fails, so it was the fault that was found.
    const sound = runSeed({ seed: found!.seed, minutes: 1, flavour, faults });
    expect(sound.violation).toBeUndefined();
    if (found!.seed !== mutant.seed) {
      console.log(`${mutant.name}: found at seed ${found!.seed}, note it in mutants.ts`);
    }
  },
  120_000,
);
