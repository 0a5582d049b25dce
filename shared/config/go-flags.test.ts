import { expect, test } from "bun:test";
import { parseAgentFlags } from "./agent-flags.ts";
import { FlagError, HelpWanted, parseFlags } from "./go-flags.ts";
import type { FlagSpec } from "./go-flags.ts";

const specs: FlagSpec[] = [
  { name: "name", type: "string", help: "" },
  { name: "on", type: "bool", help: "" },
  { name: "n", type: "int", help: "" },
  { name: "u", type: "uint", help: "" },
  { name: "wait", type: "duration", help: "" },
  { name: "item", type: "strings", help: "" },
  { name: "meta", type: "map", help: "" },
];

function parse(...args: string[]): Record<string, unknown> {
  const { values, rest } = parseFlags(specs, args);
  return { ...Object.fromEntries(values), rest };
}

test("one dash or two, the value after = or in the next word", () => {
  expect(parse("-name", "a", "--n=-3", "-on")).toEqual({ name: "a", n: -3, on: true, rest: [] });
  expect(parse("--name=", "-on=false", "x")).toEqual({ name: "", on: false, rest: ["x"] });
});

test("flags end at the first word without a dash, at -- and at a lone -", () => {
  expect(parse("a", "-on")).toEqual({ rest: ["a", "-on"] });
  expect(parse("-on", "--", "-n")).toEqual({ on: true, rest: ["-n"] });
  expect(parse("-", "-on")).toEqual({ rest: ["-", "-on"] });
});

test("repeated flags collect", () => {
  expect(parse("-item=a", "-item", "b", "-meta", "k:v", "-meta=x=y:z")).toEqual({
    item: ["a", "b"],
    meta: { k: "v", x: "y:z" },
    rest: [],
  });
});

test("mistakes are told in Go's words", () => {
  const mistakes: [string[], string][] = [
    [["-nope"], "flag provided but not defined: -nope"],
    [["-name"], "flag needs an argument: -name"],
    [["-n", "x"], 'invalid value "x" for flag -n: parse error'],
    [["-u", "-1"], 'invalid value "-1" for flag -u: parse error'],
    [["-wait", "5"], 'invalid value "5" for flag -wait: parse error'],
    [["-on=maybe"], 'invalid boolean value "maybe" for -on: parse error'],
    [["---x"], "bad flag syntax: ---x"],
    [["-=x"], "bad flag syntax: -=x"],
  ];
  for (const [args, message] of mistakes) {
    expect(() => parseFlags(specs, args)).toThrow(new FlagError(message));
  }
  expect(() => parse("-h")).toThrow(HelpWanted);
  expect(() => parse("--help")).toThrow(HelpWanted);
});

test("files and directories keep their order, -join is an old name", () => {
  const flags = parseAgentFlags([
    "-config-file=a.json",
    "-config-dir",
    "d",
    "--config-file",
    "b.hcl",
    "-join=x",
    "-retry-join=y",
    "-bind=1.2.3.4",
  ]);
  expect(flags.paths).toEqual(["a.json", "d", "b.hcl"]);
  expect(new Set(flags.lists.get("retry_join") as string[])).toEqual(new Set(["x", "y"]));
  expect(flags.scalars.get("bind_addr")).toBe("1.2.3.4");
  expect(flags.warnings).toHaveLength(1);
});
