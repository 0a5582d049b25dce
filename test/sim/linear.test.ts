import { describe, expect, test } from "bun:test";
import { type Call, History, isOpen, type Op, type Step } from "./history.ts";
import { checkLinearizable } from "./linear.ts";

/** `from-to op result`, e.g. `1-4 put 7`, `2-? cas 7 8`, `5-6 get 7`, `5-6 cas 1 2 false`; on another
 *  key `1-4 b.put 7`. Sessions `open 1` and `close 1`, locks `acquire 1 7 false`, `look 7 1`. Transactions put `a=1`, swap `a:1>2`, delete `a!` and read `a?2`; one that ends
 *  with `refused` did nothing. */
function history(...lines: string[]): Call[] {
  return lines.map((line, i) => {
    const [span, word, ...rest] = line.split(" ");
    const [kind, key = "k"] = word!.split(".").reverse();
    const [from, to] = span!.split("-");
    const returnMs = to === "?" ? Infinity : Number(to);
    const done = returnMs < Infinity;
    const [a, b, c] = rest;
    const call = { client: `c${i}`, key, invokeMs: Number(from), returnMs };
    let op: Op, result: Call["result"];
    switch (kind) {
      case "put":
        op = { kind, value: Number(a) };
        result = done ? true : undefined;
        break;
      case "get":
        op = { kind };
        result = done ? Number(a) : undefined;
        break;
      case "cas":
        op = { kind, from: Number(a), to: Number(b) };
        result = done ? c !== "false" : undefined;
        break;
      case "txn": {
        const isRefused = rest.at(-1) === "refused";
        const parts = (isRefused ? rest.slice(0, -1) : rest).map(step);
        const op: Op = { kind, steps: parts.map(([each]) => each) };
        const reads = parts.flatMap(([, read]) => read ?? []);
        const result = !done ? undefined : isRefused ? false : reads;
        return { ...call, key: op.steps[0]!.key, op, result };
      }
      case "open":
      case "close": {
        const op: Op = { kind, session: Number(a) };
        return { ...call, key: isOpen(op.session), op, result: done ? b !== "false" : undefined };
      }
      case "acquire":
      case "release":
        op = { kind, session: Number(a), value: Number(b) };
        result = done ? c !== "false" : undefined;
        break;
      case "look":
        op = { kind };
        result = done ? [Number(a), Number(b)] : undefined;
        break;
      default:
        op = { kind: "delete" };
        result = done ? a !== "false" : undefined;
    }
    return { ...call, op, result };
  });
}

/** One step of a transaction, and what it read. */
function step(text: string): [Step, number?] {
  const [, key, sign, a, b] = /^(\w)([=:!?])(\d*)>?(\d*)$/.exec(text)!;
  switch (sign) {
    case "=":
      return [{ kind: "put", key: key!, value: Number(a) }];
    case ":":
      return [{ kind: "cas", key: key!, from: Number(a), to: Number(b) }];
    case "!":
      return [{ kind: "delete", key: key! }];
    default:
      return [{ kind: "read", key: key! }, Number(a)];
  }
}

describe("histories that have an order", () => {
  test.each([
    ["nothing at all", []],
    ["one after the other", ["1-2 put 5", "3-4 get 5", "5-6 delete", "7-8 get 0"]],
    ["a read beside a write may see either", ["1-9 put 5", "2-3 get 0", "4-5 get 5"]],
    ["a write without answer takes effect late", ["1-? put 5", "2-3 get 0", "9-10 get 5"]],
    ["a write without answer never takes effect", ["1-? put 5", "2-3 get 0", "9-10 get 0"]],
    ["two swaps, one wins", ["1-2 put 1", "3-6 cas 1 2", "3-6 cas 1 3 false", "7-8 get 2"]],
    ["a swap without answer explains a value", ["1-2 put 1", "3-? cas 1 2", "5-6 get 2"]],
    ["a read without answer tells nothing", ["1-? get 0", "2-3 put 1"]],
    ["two keys at once", ["1-2 txn a=1 b=2", "3-4 a.get 1", "3-4 b.get 2", "5-6 txn a?1 b?2"]],
    ["a transaction sees its own writes", ["1-2 txn a=1 a?1 a!", "3-4 a.get 0"]],
    ["one that is refused does nothing", ["1-2 txn a=1 b:7>8 refused", "3-4 txn a?0 b?0"]],
    ["one without answer is done whole", ["1-? txn a=1 b=1", "2-3 txn a?0 b?0", "4-5 txn a?1 b?1"]],
    ["a look at two keys beside a write", ["1-9 txn a=1 b=1", "2-3 txn a?0 b?0", "4-5 a.get 1"]],
    ["one of two that swap the same is refused", [
      "1-4 txn a:0>1 b=1",
      "1-4 txn a:0>2 b=2 refused",
      "5-6 txn a?1 b?1",
    ]],
    ["a lock that is taken and given up", [
      "1-2 open 1",
      "3-4 acquire 1 5",
      "5-6 look 5 1",
      "7-8 release 1 6",
      "9-10 look 6 0",
    ]],
    ["one of two takes the lock", [
      "1-2 open 1",
      "1-2 open 2",
      "3-6 acquire 1 5",
      "3-6 acquire 2 6 false",
      "7-8 acquire 1 7",
    ]],
    ["a lock goes with its session", [
      "1-2 open 1",
      "1-2 open 2",
      "3-4 acquire 1 5",
      "5-9 close 1",
      "6-8 acquire 2 6",
      "7-9 acquire 1 7 false",
    ]],
    ["a lock goes with its key", ["1-2 open 1", "3-4 acquire 1 5", "5-6 delete", "7-8 look 0 0"]],
    ["a session that may be closed", ["1-2 open 1", "3-? close 1", "5-6 acquire 1 5 false"]],
    ["crossing writes", ["1-4 put 1", "2-5 put 2", "3-6 put 3", "7-8 get 1"]],
  ])("%s", (_, lines) => {
    expect(checkLinearizable(history(...lines))).toBe("linearizable");
  });
});

describe("histories that have none", () => {
  test.each([
    ["a stale read", ["1-2 put 1", "3-4 put 2", "5-6 get 1"]],
    ["a lost write", ["1-2 put 1", "3-4 get 0"]],
    ["a value from nowhere", ["1-2 put 1", "3-4 get 9"]],
    ["a read that goes back", ["1-9 put 1", "2-3 get 1", "4-5 get 0"]],
    ["both swaps win", ["1-2 put 1", "3-6 cas 1 2", "3-6 cas 1 3"]],
    ["a swap refused without reason", ["1-2 put 1", "3-4 cas 1 2 false"]],
    ["a delete of what is there finds nothing", ["1-2 put 1", "3-4 delete false"]],
    ["a write seen before it began", ["1-2 get 7", "3-4 put 7"]],
    ["a write applied twice", ["1-2 put 1", "3-4 put 2", "5-6 get 2", "7-8 get 1"]],
    ["half a transaction", ["1-2 txn a=1 b=1", "3-4 a.get 1", "4-5 b.get 0"]],
    ["a transaction seen half done", ["1-9 txn a=1 b=1", "2-3 txn a?1 b?0"]],
    ["a refused one that did something", ["1-2 txn a=1 b:7>8 refused", "3-4 a.get 1"]],
    ["one refused without reason", ["1-2 txn a=1 b:0>8 refused"]],
    ["one that should have been refused", ["1-2 b.put 1", "3-4 txn a=1 b:0>8"]],
    ["two that swap the same both win", ["1-4 txn a:0>1 b=1", "1-4 txn a:0>2 c=2"]],
    ["a look that joins two moments", [
      "1-2 txn a=1 b=1",
      "3-4 txn a=2 b=2",
      "3-5 txn a?1 b?2",
    ]],
    ["two looks in different orders", [
      "1-9 a.put 1",
      "1-9 b.put 1",
      "2-8 txn a?1 b?0",
      "2-8 txn a?0 b?1",
    ]],
    ["write skew", ["1-4 txn a?0 b=1", "1-4 txn b?0 a=1"]],
    ["a transaction that forgets what it wrote", ["1-2 txn a=1 a?0"]],
    ["one without answer done twice", [
      "1-? txn a=5 b=5",
      "2-3 txn a?5 b?5",
      "4-5 txn a=6 b=6",
      "6-7 a.get 5",
    ]],
    ["two hold the lock", [
      "1-2 open 1",
      "1-2 open 2",
      "3-6 acquire 1 5",
      "3-6 acquire 2 6",
    ]],
    ["a lock without a session", ["1-2 acquire 1 5"]],
    ["a lock for a closed session", ["1-2 open 1", "3-4 close 1", "5-6 acquire 1 5"]],
    ["a lock refused without reason", ["1-2 open 1", "3-4 acquire 1 5 false"]],
    ["a lock given up by another", ["1-2 open 1", "3-4 acquire 1 5", "5-6 release 2 6"]],
    ["a lock lost while it is held", ["1-2 open 1", "3-4 acquire 1 5", "5-6 look 5 0"]],
    ["a holder seen after its session", [
      "1-2 open 1",
      "3-4 acquire 1 5",
      "5-6 close 1",
      "7-8 look 5 1",
    ]],
    ["a write that loses the lock", [
      "1-2 open 1",
      "3-4 acquire 1 5",
      "5-6 put 6",
      "7-8 look 6 0",
    ]],
    ["an open write takes effect twice", [
      "1-? put 5",
      "2-3 get 5",
      "4-5 put 6",
      "6-7 get 5",
    ]],
  ])("%s", (_, lines) => {
    expect(checkLinearizable(history(...lines))).toBe("not-linearizable");
  });
});

test("keys that transactions join are judged together, others apart", () => {
  const written = new History();
  const lines = ["1-2 txn a=1 b=1", "2-3 txn b=2 c=2", "3-4 d.put 1", "4-5 c.get 2", "5-6 e.get 0"];
  for (const { client, key, op, invokeMs } of history(...lines)) {
    written.invoke(client, key, op, invokeMs);
  }
  const sizes = [...written.groups().values()].map((calls) => calls.length);
  expect(sizes.sort()).toEqual([1, 1, 3]);
});

test("a long history with little at once is quick", () => {
  const lines: string[] = [];
  for (let i = 0; i < 400; i++) {
    const t = i * 10;
    lines.push(`${t}-${t + 8} put ${i + 1}`, `${t + 1}-${t + 9} put ${i + 1}`);
    lines.push(`${t + 9}-${t + 9} get ${i + 1}`);
  }
  expect(checkLinearizable(history(...lines))).toBe("linearizable");
});
