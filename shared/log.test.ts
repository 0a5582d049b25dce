import { describe, expect, test } from "bun:test";
import { LogTail, openLog } from "./log.ts";

function capture(level = "debug") {
  const lines: string[] = [];
  const opened = openLog({ daemon: "dnsd", node: "n1", level, write: (line) => lines.push(line) });
  return { ...opened, lines };
}

describe("a daemon's log", () => {
  test("is JSON with level, time, daemon and node", () => {
    const { log, lines } = capture();
    log.info({ query: "web.service.consul" }, "answered");
    const line = JSON.parse(lines[0]!);
    expect(line).toMatchObject({
      level: "info",
      daemon: "dnsd",
      node: "n1",
      query: "web.service.consul",
      msg: "answered",
    });
    expect(Date.parse(line.time)).toBeGreaterThan(0);
  });

  test("never shows secrets", () => {
    const { log, lines } = capture();
    const secret = "5a1f2c";
    log.info({ token: secret, context: { token: secret }, a: { b: { secretJson: secret } } }, "x");
    log.child({ trace: "abc" }).warn({ headers: { authorization: secret } }, "y");
    expect(lines.join("")).not.toContain(secret);
    expect(lines.join("")).toContain("<hidden>");
    expect(JSON.parse(lines[1]!).trace).toBe("abc");
  });

  test("keeps below its level out", () => {
    const { log, lines } = capture("warn");
    log.info("no");
    log.warn("yes");
    log.level = "debug";
    log.debug("now");
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["yes", "now"]);
  });
});

describe("the tail", () => {
  test("keeps the last 500 lines in order", () => {
    const tail = new LogTail();
    for (let i = 0; i < 1234; i++) tail.add(`line ${i}\n`);
    expect(tail.last(3)).toEqual(["line 1231", "line 1232", "line 1233"]);
    expect(tail.last(10_000).length).toBe(500);
    expect(tail.last(10_000)[0]).toBe("line 734");
  });

  test("gives each new line to followers until they stop", () => {
    const tail = new LogTail();
    const seen: string[] = [];
    const stop = tail.follow((line) => seen.push(line));
    tail.add("a");
    stop();
    tail.add("b");
    expect(seen).toEqual(["a"]);
  });
});
