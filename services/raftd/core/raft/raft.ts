// Raft (Ongaro's dissertation): takes facts, gives orders. This file routes inputs by role.

import type { Machine } from "#shared/machine.ts";
import type { Random } from "#shared/random.ts";
import type { Effect, Input, RaftStatus, Restored } from "./machine.ts";
import type { ServerId } from "./messages.ts";
import type { RaftSettings } from "./settings.ts";

export interface RaftOptions {
  readonly id: ServerId;
  readonly settings: RaftSettings;
  readonly random: Random;
  readonly restored: Restored;
}

export class Raft implements Machine<Input, Effect> {
  constructor(_options: RaftOptions) {
  }

  /** When the next `timer-fired` is due at the latest. Read it after each step. */
  get deadlineMs(): number {
    return Infinity;
  }

  step(_input: Input, _nowMs: number): Effect[] {
    return [];
  }

  status(_nowMs: number): RaftStatus {
    throw new Error("not yet");
  }
}
