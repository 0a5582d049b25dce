// What the calls mean, for the checker of histories: a few keys with values, and operations on them.

import { type Call, holderOf, isOpen, type Op, type Step } from "./history.ts";
import { ABSENT } from "./kv.ts";

/** A value for each key, in the places given to them. */
export type Values = readonly number[];
export type Places = ReadonlyMap<string, number>;

/** The values after the call, or undefined if its answer does not fit the values before. */
export function applied({ key, op, result }: Call, values: Values, places: Places) {
  const place = places.get(key)!;
  const value = values[place]!;
  switch (op.kind) {
    case "get":
      return result === value ? values : undefined;
    case "put":
      return withValue(values, place, op.value);
    case "delete": {
      const had = value !== ABSENT;
      return result === undefined || result === had ? deleted(values, key, places) : undefined;
    }
    case "cas": {
      const swaps = value === op.from;
      if (result !== undefined && result !== swaps) return undefined;
      return swaps ? withValue(values, place, op.to) : values;
    }
    case "txn": {
      const done = run(op.steps, values, places);
      if (done === undefined) return result === undefined || result === false ? values : undefined;
      if (result !== undefined && !isEqual(result, done.reads)) return undefined;
      return done.values;
    }
    case "look":
      return isEqual(result!, [value, values[places.get(holderOf(key))!]!]) ? values : undefined;
    case "open":
    case "close":
    case "acquire":
    case "release": {
      const after = locked(op, key, values, places);
      if (result !== undefined && result !== (after !== undefined)) return undefined;
      return after ?? values;
    }
    default:
      return op satisfies never;
  }
}

/** Undefined: a step refused, so nothing was done. */
function run(steps: readonly Step[], before: Values, places: Places) {
  let values = before;
  const reads: number[] = [];
  for (const step of steps) {
    const place = places.get(step.key)!;
    switch (step.kind) {
      case "read":
        reads.push(values[place]!);
        break;
      case "put":
        values = withValue(values, place, step.value);
        break;
      case "cas":
        if (values[place] !== step.from) return undefined;
        values = withValue(values, place, step.to);
        break;
      case "delete":
        values = deleted(values, step.key, places);
        break;
      default:
        return step satisfies never;
    }
  }
  return { values, reads };
}

/** Undefined: it is refused. */
function locked(
  op: Extract<Op, { session: number }>,
  key: string,
  values: Values,
  places: Places,
): Values | undefined {
  const { session } = op;
  const open = places.get(isOpen(session))!;
  if (op.kind === "open") return values[open] === 1 ? undefined : withValue(values, open, 1);
  if (!("value" in op)) {
    let after = withValue(values, open, ABSENT);
    for (const [name, place] of places) {
      const isHeld = name.endsWith(holderOf("")) && after[place] === session;
      if (isHeld) after = withValue(after, place, ABSENT);
    }
    return after;
  }
  const holder = places.get(holderOf(key))!;
  const isFree = values[holder] === ABSENT;
  const isOwn = values[holder] === session;
  if (op.kind === "acquire" ? values[open] !== 1 || !isFree && !isOwn : !isOwn) return undefined;
  const written = withValue(values, places.get(key)!, op.value);
  return withValue(written, holder, op.kind === "acquire" ? session : ABSENT);
}

/** The lock goes with the key. */
function deleted(values: Values, key: string, places: Places): Values {
  const holder = places.get(holderOf(key));
  const after = withValue(values, places.get(key)!, ABSENT);
  return holder === undefined ? after : withValue(after, holder, ABSENT);
}

function isEqual(result: Exclude<Call["result"], undefined>, reads: readonly number[]): boolean {
  return typeof result === "object" && result.length === reads.length &&
    result.every((value, n) => value === reads[n]);
}

function withValue(values: Values, place: number, value: number): Values {
  if (values[place] === value) return values;
  const copy = [...values];
  copy[place] = value;
  return copy;
}
