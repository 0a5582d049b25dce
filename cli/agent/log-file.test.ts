import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LogConfig } from "#shared/config/types.ts";
import { LogFile } from "./log-file.ts";

const folder = mkdtempSync(join(tmpdir(), "curia-log-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function open(options: Partial<LogConfig>) {
  let timeMs = 1_000;
  const clock = { nowMs: () => timeMs, wallMs: () => timeMs };
  const config: LogConfig = {
    level: "info",
    json: false,
    file: "",
    rotateBytes: 0,
    rotateDurationMs: 0,
    rotateMaxFiles: 0,
    syslog: false,
    syslogFacility: "",
    ...options,
  };
  return { log: new LogFile(config, clock), pass: (ms: number) => timeMs += ms };
}

test("a directory gets consul.log, which is appended to", () => {
  const file = join(folder, "plain/");
  open({ file }).log.write("one");
  open({ file }).log.write("two");
  expect(readFileSync(join(file, "consul.log"), "utf8")).toBe("one\ntwo\n");
});

test("a full file gets the time in its name, the active one keeps its own", () => {
  const { log, pass } = open({ file: join(folder, "size/agent.log"), rotateBytes: 8 });
  for (const line of ["12345", "67890", "abc"]) {
    pass(1);
    log.write(line);
  }
  expect(readdirSync(join(folder, "size")).sort()).toEqual([
    "agent-1002000000.log",
    "agent-1003000000.log",
    "agent.log",
  ]);
  expect(readFileSync(join(folder, "size/agent.log"), "utf8")).toBe("abc\n");
});

test("an old file is rotated, and only so many are kept", () => {
  const file = join(folder, "age/agent.log");
  const { log, pass } = open({ file, rotateDurationMs: 100, rotateMaxFiles: 1 });
  for (const line of ["a", "b", "c", "d"]) {
    log.write(line);
    pass(150);
  }
  expect(readdirSync(join(folder, "age"))).toHaveLength(2);
});
