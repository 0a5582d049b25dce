// The recordings that need no agent, against the command line of this checkout. Those that need
// one are in cli-agent.test.ts.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { inProcess } from "./cli-in-process.ts";
import { patternOf, processRunner, readCases, replay, reportOf } from "./cli-replay.ts";
import type { Runner } from "./cli-replay.ts";

const curia = processRunner(process.execPath, join(import.meta.dir, "../../cli/curia.ts"));
/** Nothing listens on port 1. */
const nowhere = "127.0.0.1:1";

test("macros match what varies, and only that", () => {
  expect(patternOf("id <<uuid>>.\n").test("id 01234567-89ab-cdef-0123-456789abcdef.\n")).toBe(true);
  expect(patternOf("id <<uuid>>.\n").test("id x.\n")).toBe(false);
  expect(patternOf("a(b)").test("a(b)c")).toBe(false);
});

test("a planted difference is found", async () => {
  const wrong: Runner = () => Promise.resolve({ exit: 0, stdout: "wrong", stderr: "" });
  const [verdict] = await replay({
    run: wrong,
    httpAddr: nowhere,
    groups: ["validate"],
    names: {},
  });
  expect(verdict?.problem).toContain("stdout");
});

for (const [group, run] of [["validate", inProcess], ["no-server", curia]] as const) {
  test(`recorded command lines: ${group}`, async () => {
    const count = readCases().filter((recorded) => recorded.group === group).length;
    const verdicts = await replay({ run, httpAddr: nowhere, groups: [group], names: {} });
    expect(count).toBeGreaterThan(20);
    expect(verdicts).toHaveLength(count);
    expect(verdicts.filter(({ problem }) => problem !== undefined).map((v) => reportOf([v])))
      .toEqual([]);
  }, 120_000);
}
