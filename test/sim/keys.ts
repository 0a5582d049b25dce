// Which keys clients use: a few at once, shared by all, and new ones before their history is too long
// for the checker.

import type { Random } from "#shared/random.ts";
import type { Op, Step } from "./history.ts";
import { ABSENT } from "./kv.ts";

/** Calls on the keys in use before all clients turn to new ones: the checker's work grows with it. */
const CALLS_MAX = 120;
const KEYS_AT_ONCE = 3;

export interface KeyInUse {
  readonly key: string;
  lastValue: number;
}

export class Keys {
  #made = 0;
  #calls = 0;
  #current: KeyInUse[] = [];
  /** Those that may hold locks on them. */
  sessions: readonly number[] = [];
  #sessionsMade = 0;
  #value = ABSENT;

  /** All that are in use, the one to act on first. */
  pick(random: Random): [KeyInUse, ...KeyInUse[]] {
    if (this.#calls === 0) {
      this.#current = Array.from({ length: KEYS_AT_ONCE }, () => {
        return { key: `k${this.#made++}`, lastValue: ABSENT };
      });
      this.sessions = [++this.#sessionsMade, ++this.#sessionsMade];
    }
    this.#calls = (this.#calls + 1) % CALLS_MAX;
    return random.shuffle([...this.#current]) as [KeyInUse, ...KeyInUse[]];
  }

  newValue(): number {
    return ++this.#value;
  }
}

/** Writes to two keys, with looks at them and at a third; or only looks. */
export function drawTxn(
  random: Random,
  keys: readonly KeyInUse[],
  values: Keys,
  { onlyReads, swapsAnyValue }: { onlyReads: boolean; swapsAnyValue: boolean },
): Op {
  const reads = keys.map(({ key }): Step => ({ kind: "read", key }));
  if (onlyReads || random.chance(0.3)) return { kind: "txn", steps: reads };
  const [first, second] = keys as [KeyInUse, KeyInUse];
  const steps: Step[] = [];
  if (random.chance(0.3)) steps.push(random.pick(reads));
  for (const used of [first, second]) {
    const { key, lastValue } = used;
    const dice = random.fraction();
    if (dice < 0.2) {
      steps.push({ kind: "delete", key });
      continue;
    }
    const value = values.newValue();
    if (dice < 0.5) {
      const from = swapsAnyValue ? lastValue : ABSENT;
      steps.push({ kind: "cas", key, from, to: value });
    } else steps.push({ kind: "put", key, value });
    used.lastValue = value;
  }
  if (random.chance(0.5)) steps.push(random.pick(reads));
  return { kind: "txn", steps };
}

/** A session that begins or ends, a lock that is taken or given up; or a look at one. */
export function drawLock(random: Random, values: Keys, onlyReads: boolean): Op {
  const session = random.pick(values.sessions);
  const dice = onlyReads ? 1 : random.fraction();
  if (dice < 0.2) return { kind: "open", session };
  if (dice < 0.3) return { kind: "close", session };
  if (dice < 0.6) return { kind: "acquire", session, value: values.newValue() };
  if (dice < 0.75) return { kind: "release", session, value: values.newValue() };
  return { kind: "look" };
}
