import { expect, test } from "bun:test";
import { formatJson, formatText, isAtLeast, parseLine } from "./log-lines.ts";

const timeMs = Date.parse("2026-01-31T10:00:00.125Z");
const line = JSON.stringify({
  level: "warn",
  time: "2026-01-31T10:00:00.125Z",
  daemon: "raftd",
  node: "n1",
  peer: "b c",
  term: 4,
  msg: "lost the leader",
});

test("a daemon's line in Consul's text form", () => {
  expect(formatText(parseLine(line, "raftd", 0))).toBe(
    '2026-01-31T10:00:00.125Z [WARN]  raftd: lost the leader: peer="b c" term=4',
  );
});

test("a daemon's line as Consul's JSON", () => {
  expect(JSON.parse(formatJson(parseLine(line, "raftd", 0)))).toEqual({
    "@level": "warn",
    "@message": "lost the leader",
    "@module": "raftd",
    "@timestamp": "2026-01-31T10:00:00.125Z",
    peer: "b c",
    term: 4,
  });
});

test("what is no JSON is an error of the daemon", () => {
  for (const text of ["panic: x", "{broken"]) {
    const record = parseLine(text, "dnsd", timeMs);
    expect(formatText(record)).toBe(`2026-01-31T10:00:00.125Z [ERROR] dnsd: ${text}`);
  }
});

test("numbers and names of levels, fatal counts as error", () => {
  const levelOf = (level: unknown) => parseLine(JSON.stringify({ level }), "x", 0).level;
  expect([10, 20, 30, 40, 50, 60, "debug", "fatal", "odd"].map(levelOf)).toEqual([
    "trace",
    "debug",
    "info",
    "warn",
    "error",
    "error",
    "debug",
    "error",
    "info",
  ]);
  expect(isAtLeast("warn", "info") && !isAtLeast("debug", "info")).toBe(true);
});
