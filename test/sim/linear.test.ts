import { describe, expect, test } from "bun:test";
import type { Call, Op } from "./history.ts";
import { checkLinearizable } from "./linear.ts";

/** `from-to op result`, e.g. `1-4 put 7`, `2-? cas 7 8`, `5-6 get 7`, `5-6 cas 1 2 false`. */
function history(...lines: string[]): Call[] {
  return lines.map((line, i) => {
    const [span, kind, ...rest] = line.split(" ");
    const [from, to] = span!.split("-");
    const returnMs = to === "?" ? Infinity : Number(to);
    const done = returnMs < Infinity;
    const [a, b, c] = rest;
    const call = { client: `c${i}`, key: "k", invokeMs: Number(from), returnMs };
    let op: Op, result: number | boolean | undefined;
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
      default:
        op = { kind: "delete" };
        result = done ? a !== "false" : undefined;
    }
    return { ...call, op, result };
  });
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

test("a long history with little at once is quick", () => {
  const lines: string[] = [];
  for (let i = 0; i < 400; i++) {
    const t = i * 10;
    lines.push(`${t}-${t + 8} put ${i + 1}`, `${t + 1}-${t + 9} put ${i + 1}`);
    lines.push(`${t + 9}-${t + 9} get ${i + 1}`);
  }
  expect(checkLinearizable(history(...lines))).toBe("linearizable");
});
