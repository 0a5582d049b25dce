// One run of the simulator: a seed, so many virtual minutes of work and faults, then a healed
// cluster that must settle, then the verdict on everything clients saw.

import { Random } from "#shared/random.ts";
import { Raft } from "../../services/raftd/core/raft/raft.ts";
import { Cluster } from "./cluster.ts";
import { throwFaults } from "./faults.ts";
import { kvStates, type StateKind } from "./kv.ts";
import { drawMix, type FaultKind, type Flavour } from "./mix.ts";
import type { RaftFactory } from "./world.ts";

export interface RunOptions {
  readonly seed: number;
  readonly minutes: number;
  readonly createRaft?: RaftFactory;
  /** The replicated state: the small one of the simulator unless told otherwise. */
  readonly states?: StateKind;
  readonly trace?: (line: string) => void;
  /** Instead of the flavour that the seed would draw. */
  readonly flavour?: Flavour;
  /** Instead of the faults that the flavour brings. */
  readonly faults?: readonly FaultKind[];
}

export interface RunReport {
  readonly seed: number;
  readonly virtualMs: number;
  readonly events: number;
  readonly calls: number;
  readonly elections: number;
  readonly committed: number;
  readonly faults: number;
  readonly counts: Readonly<Record<string, number>>;
  /** Undefined if nothing was violated. */
  readonly violation: string | undefined;
}

const SETTLE_MS = 30_000;

export function runSeed(options: RunOptions): RunReport {
  const random = new Random(options.seed);
  const drawn = drawMix(random, options.flavour);
  const mix = options.faults ? { ...drawn, faults: options.faults } : drawn;
  const createRaft = options.createRaft ?? ((raftOptions) => new Raft(raftOptions));
  const states = options.states ?? kvStates;
  const cluster = new Cluster({ random, mix, createRaft, states, trace: options.trace });
  const violation = explore(cluster, options.minutes * 60_000);
  const { counts, queue, history, checks } = cluster;
  const faults = Object.entries(counts).filter(([name]) => name.startsWith("fault "));
  return {
    seed: options.seed,
    virtualMs: queue.nowMs,
    events: queue.eventCount,
    calls: history.calls.length,
    elections: checks.electionCount,
    committed: checks.committedIndex,
    faults: faults.reduce((sum, [, times]) => sum + times, 0),
    counts,
    violation,
  };
}

/** Any exception is a violation: a claim of the checks, or an invariant of the code itself. */
function explore(cluster: Cluster, untilMs: number): string | undefined {
  try {
    cluster.bootstrap();
    cluster.startClients();
    throwFaults(cluster, untilMs);
    cluster.queue.runUntil(untilMs);
    cluster.healAndSettle(SETTLE_MS);
    cluster.checkHistory();
    return undefined;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : `${error}`;
  }
}
