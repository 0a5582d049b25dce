// The contract of every protocol core: data in, data out. What a machine needs of the world
// (time, chance, bytes that arrived) is handed to it, so the simulator runs production code.

/** A protocol as a deterministic step function: same seed and same inputs give the same effects. */
export interface Machine<Input, Effect> {
  /** Takes one fact and says what must be done about it, in order. Never awaits, never throws for
   *  what the world can cause. `nowMs` is monotonic milliseconds. */
  step(input: Input, nowMs: number): Effect[];
}

/** Where a shell gets the time from; the simulator has its own. */
export interface Clock {
  /** Monotonic milliseconds, unrelated to the calendar. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
};
