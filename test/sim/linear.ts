// Is there an order of the calls on some keys that respects real time and explains every answer?
// Search by Wing and Gong with Lowe's memory of configurations already tried.

import { type Call, keysOf } from "./history.ts";
import { ABSENT } from "./kv.ts";
import { applied, type Values } from "./registers.ts";

/** Configurations tried before the search gives up. */
const STATES_MAX = 200_000;

export type Verdict = "linearizable" | "not-linearizable" | "too-hard";

/** One end of a call in the list of events. */
interface Node {
  readonly call: number;
  /** The return of this call; undefined on a return itself. */
  readonly match: Node | undefined;
  previous: Node | undefined;
  next: Node | undefined;
}

export function checkLinearizable(calls: readonly Call[]): Verdict {
  // A read without an answer tells nothing and changes nothing.
  const relevant = calls.filter((call) => !isRead(call) || call.result !== undefined);
  // Calls without answers make the search hard, and most of them never took effect or were never
  // seen: an order without those is an order.
  const seen = seenValues(relevant);
  const likely = relevant.filter((call) => call.returnMs < Infinity || isSeen(call, seen));
  if (likely.length < relevant.length && search(likely) === "linearizable") return "linearizable";
  return search(relevant);
}

function search(relevant: readonly Call[]): Verdict {
  const places = new Map<string, number>();
  for (const key of relevant.flatMap(keysOf)) {
    if (!places.has(key)) places.set(key, places.size);
  }
  const head = eventList(relevant);
  const chosen = new Uint32Array(Math.ceil(relevant.length / 32));
  const tried = new Set<string>();
  const stack: { node: Node; values: Values }[] = [];
  let values: Values = new Array(places.size).fill(ABSENT);
  let openCount = relevant.filter((call) => call.returnMs < Infinity).length;
  let node = head.next;
  while (openCount > 0) {
    if (node === undefined) return "not-linearizable";
    if (node.match) {
      const call = relevant[node.call]!;
      const after = applied(call, values, places);
      if (after !== undefined) {
        flip(chosen, node.call);
        const key = `${after.join(",")} ${chosen.join(",")}`;
        if (!tried.has(key)) {
          if (tried.size >= STATES_MAX) return "too-hard";
          tried.add(key);
          stack.push({ node, values });
          values = after;
          if (call.returnMs < Infinity) openCount--;
          lift(node);
          node = head.next;
          continue;
        }
        flip(chosen, node.call);
      }
      node = node.next;
      continue;
    }
    // A return is reached whose call was not chosen: go back.
    const last = stack.pop();
    if (!last) return "not-linearizable";
    flip(chosen, last.node.call);
    values = last.values;
    if (relevant[last.node.call]!.returnMs < Infinity) openCount++;
    unlift(last.node);
    node = last.node.next;
  }
  return "linearizable";
}

/** What answers speak of. */
function seenValues(calls: readonly Call[]): ReadonlySet<number> {
  const seen = new Set<number>();
  for (const { op, result } of calls) {
    if (typeof result === "number") seen.add(result);
    else if (typeof result === "object") { for (const value of result) seen.add(value); }
    const steps = op.kind === "txn" ? op.steps : [op];
    for (const step of steps) {
      if (result !== undefined && result !== false && "from" in step) seen.add(step.from);
    }
  }
  return seen;
}

/** Whether a call that has no answer left a trace. */
function isSeen({ op }: Call, seen: ReadonlySet<number>): boolean {
  if (op.kind === "open") return true;
  const steps = op.kind === "txn" ? op.steps : [op];
  return steps.some((step) =>
    "to" in step ? seen.has(step.to) : "value" in step && seen.has(step.value)
  );
}

function isRead({ op }: Call): boolean {
  if (op.kind === "txn") return op.steps.every(({ kind }) => kind === "read");
  return op.kind === "get" || op.kind === "look";
}

function eventList(calls: readonly Call[]): Node {
  interface End {
    readonly atMs: number;
    readonly isReturn: boolean;
    readonly call: number;
  }
  const ends: End[] = [];
  calls.forEach((call, index) => {
    ends.push({ atMs: call.invokeMs, isReturn: false, call: index });
    ends.push({ atMs: call.returnMs, isReturn: true, call: index });
  });
  // At the same moment a call begins before another returns: that only allows more orders.
  ends.sort((a, b) =>
    a.atMs === b.atMs ? Number(a.isReturn) - Number(b.isReturn) : a.atMs < b.atMs ? -1 : 1
  );
  const returns = new Map<number, Node>();
  let next: Node | undefined;
  for (let i = ends.length - 1; i >= 0; i--) {
    const { call, isReturn } = ends[i]!;
    const match = isReturn ? undefined : returns.get(call);
    const node: Node = { call, match, previous: undefined, next };
    if (isReturn) returns.set(call, node);
    if (next) next.previous = node;
    next = node;
  }
  const head: Node = { call: -1, match: undefined, previous: undefined, next };
  if (next) next.previous = head;
  return head;
}

/** Takes a call and its return out of the list. */
function lift(node: Node): void {
  unlink(node);
  unlink(node.match!);
}

function unlift(node: Node): void {
  relink(node.match!);
  relink(node);
}

function unlink(node: Node): void {
  if (node.previous) node.previous.next = node.next;
  if (node.next) node.next.previous = node.previous;
}

function relink(node: Node): void {
  if (node.previous) node.previous.next = node;
  if (node.next) node.next.previous = node;
}

function flip(bits: Uint32Array, index: number): void {
  bits[index >> 5]! ^= 1 << (index & 31);
}
