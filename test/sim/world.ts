// What all parts of one simulated cluster share, and the numbers of its run.

import type { Machine } from "#shared/machine.ts";
import type { Random } from "#shared/random.ts";
import type { Effect, Input, RaftStatus } from "../../services/raftd/core/raft/machine.ts";
import type { RaftOptions } from "../../services/raftd/core/raft/raft.ts";
import type { Checks } from "./checks.ts";
import type { StateKind } from "./kv.ts";
import type { Network } from "./network.ts";
import type { EventQueue } from "./queue.ts";
import type { RaftSettings } from "../../services/raftd/core/raft/settings.ts";

export interface RaftMachine extends Machine<Input, Effect> {
  readonly deadlineMs: number;
  status(nowMs: number): RaftStatus;
}

/** The protocol under test: the production core, or one with a planted fault. */
export type RaftFactory = (options: RaftOptions) => RaftMachine;

export interface DiskMix {
  readonly syncMinMs: number;
  readonly syncMaxMs: number;
}

export interface World {
  readonly queue: EventQueue;
  readonly random: Random;
  readonly network: Network;
  readonly checks: Checks;
  readonly settings: RaftSettings;
  readonly createRaft: RaftFactory;
  readonly states: StateKind;
  readonly disk: DiskMix;
  /** Applied entries between two checkpoints of the state file. */
  readonly checkpointEvery: number;
  /** One line per notable event; undefined when nobody listens. */
  readonly trace: ((line: string) => void) | undefined;
  readonly counts: Record<string, number>;
  /** Moments at which a fault would hurt most. */
  readonly noticed: (what: "stands" | "leads" | "voted", id: string) => void;
  deliver(to: string, run: (server: SimTarget) => void): void;
}

/** What other servers may do to a server: hand it an input. */
export interface SimTarget {
  input(input: Input): void;
}

export function count(world: World, what: string): void {
  world.counts[what] = (world.counts[what] ?? 0) + 1;
}
