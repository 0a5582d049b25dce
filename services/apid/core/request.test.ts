import { describe, expect, test } from "bun:test";
import { AddressRange } from "./address-range.ts";
import { toRefusal } from "./http-error.ts";
import { CuriaError } from "#shared/errors.ts";
import { cleanPath, isPrintable, parseTarget } from "./path.ts";
import {
  checkEnterprise,
  parseReadOptions,
  parseUint,
  type ReadDefaults,
  waitWithJitter,
} from "./params.ts";
import { parseQueryString } from "./query-string.ts";

const defaults: ReadDefaults = {
  datacenter: "dc1",
  token: "",
  discoveryStaleMaxMs: 0,
  useCache: true,
  usesTokens: true,
};
const headers = (map: Record<string, string> = {}) => ({ header: (name: string) => map[name] });
const options = (query: string, given: Record<string, string> = {}, isDiscovery = false) =>
  parseReadOptions(parseQueryString(query), headers(given), defaults, isDiscovery);

describe("targets", () => {
  test("a path as sent is judged before it is decoded", () => {
    expect(parseTarget("/v1/kv/a/../b?x=1")).toEqual({
      kind: "redirect",
      location: "/v1/kv/b?x=1",
    });
    expect(parseTarget("/v1//kv/x")).toEqual({ kind: "redirect", location: "/v1/kv/x" });
    expect(parseTarget("/v1/kv/x/%2E%2E/b")).toMatchObject({ kind: "path", path: "/v1/kv/x/../b" });
    expect(parseTarget("http://host:1/v1/x?y")).toMatchObject({ path: "/v1/x", query: "y" });
    expect(parseTarget("/v1/kv/%zz")).toEqual({ kind: "bad" });
    expect(parseTarget("*")).toEqual({ kind: "bad" });
  });

  test("bytes that are no UTF-8 stay what they are", () => {
    const target = parseTarget("/v1/kv/%ff%00");
    expect(target.kind === "path" && [...target.bytes!.subarray(-2)]).toEqual([255, 0]);
  });

  test("control characters are not printable, letters of any script are", () => {
    expect(["/v1/kv/é ü", "/v1/kv/日本"].map(isPrintable)).toEqual([true, true]);
    expect(["/a\u0000b", "/a\u007fb", "/a\u2028b"].map(isPrintable)).toEqual([false, false, false]);
  });

  test("cleaning keeps a last slash", () => {
    expect(["/a//b/", "/../..", "/a/./b/.."].map(cleanPath)).toEqual(["/a/b/", "/", "/a"]);
  });
});

describe("query strings", () => {
  test("first value wins, presence is enough, plus is a space", () => {
    const query = parseQueryString("a=1&a=2&b&c=x+y%20z&");
    expect([query.get("a"), query.has("b"), query.get("c")]).toEqual(["1", true, "x y z"]);
    expect(query.encode()).toBe("a=1&a=2&b=&c=x+y+z");
  });

  test.each(["a=%zz", "a;b", "%"])("%s is refused", (text) => {
    expect(() => parseQueryString(text)).toThrow();
  });
});

describe("read options", () => {
  test("modes", () => {
    expect(options("").mode).toBe("default");
    expect(options("stale=false").mode).toBe("stale");
    expect(options("max_stale=10s")).toMatchObject({ mode: "stale", staleMaxMs: 10_000 });
    expect(options("max_stale=-1s").mode).toBe("default");
    expect(options("consistent").mode).toBe("consistent");
  });

  test.each([
    ["index=x", "Invalid index"],
    ["index=-1", "Invalid index"],
    ["index=1&wait=5", "Invalid wait time"],
    ["max_stale=10", 'Invalid max_stale value "10"'],
    ["stale&consistent", "Cannot specify ?stale with ?consistent, conflicting semantics."],
    ["cached&consistent", "Cannot specify ?cached with ?consistent, conflicting semantics."],
  ])("%s: %s", (query, error) => {
    expect(() => options(query)).toThrow(error);
  });

  test("the datacenter's long name wins, and our own is nowhere else", () => {
    expect(options("dc=x&datacenter=y").datacenter).toBe("y");
    expect(options("dc=DC1").datacenter).toBe("");
  });

  test("tokens: parameter, then header, then bearer", () => {
    const both = { "x-consul-token": "h", authorization: "bEaRer b c" };
    expect(options("token=q", both).token).toBe("q");
    expect(options("", both).token).toBe("h");
    expect(options("", { authorization: "bEaRer b c" }).token).toBe("b");
  });

  test("cache control", () => {
    const given = { "cache-control": "No-Store, Stale-If-Error=30, max-age=0" };
    expect(options("cached", given).cacheControl).toEqual({
      maxAgeMs: undefined,
      mustRevalidate: true,
      staleIfErrorMs: 30_000,
    });
    expect(() => options("cached", { "cache-control": "max-age=x" })).toThrow(
      "Invalid Cache-Control",
    );
  });

  test("waits: default, maximum, and up to a sixteenth more", () => {
    expect(waitWithJitter(0, 300_000, 600_000, 0)).toBe(300_000);
    expect(waitWithJitter(700_000, 300_000, 600_000, 1)).toBe(637_500);
  });
});

test("enterprise parameters are refused where the route looks at them", () => {
  const look = (check: "both" | "partition", query: string, given = {}) => () =>
    checkEnterprise(check, parseQueryString(query), headers(given));
  expect(look("both", "ns=x")).toThrow('Invalid query parameter: "ns"');
  expect(look("partition", "ns=x")).not.toThrow();
  expect(look("both", "ns=")).not.toThrow();
  expect(look("partition", "", { "x-consul-partition": "x" })).toThrow("X-Consul-Partition");
});

test("numbers are refused in Go's words", () => {
  expect(parseUint("18446744073709551615")).toBe(18446744073709551615n);
  expect(() => parseUint("-1")).toThrow('strconv.ParseUint: parsing "-1": invalid syntax');
  expect(() => parseUint("18446744073709551616")).toThrow("value out of range");
});

test("codes become Consul's statuses and texts", () => {
  const shown = (code: ConstructorParameters<typeof CuriaError>[0], text: string) => {
    const { status, text: body } = toRefusal(new CuriaError(code, text));
    return [status, body];
  };
  expect(shown("no-leader", "x")).toEqual([500, "No cluster leader"]);
  expect(shown("no-path-to-datacenter", "x")).toEqual([500, "No path to datacenter"]);
  expect(shown("no-servers", "x")).toEqual([500, "No known Consul servers"]);
  expect(shown("failed-precondition", "text")).toEqual([500, "text"]);
  expect(shown("internal", "rpc error: Permission denied: x")).toEqual([
    403,
    "rpc error: Permission denied: x",
  ]);
});

test("address ranges hold their addresses, in either family", () => {
  expect(new AddressRange("10.0.0.0/8").contains("10.1.2.3")).toBe(true);
  expect(new AddressRange("10.0.0.0/8").contains("::ffff:10.1.2.3")).toBe(true);
  expect(new AddressRange("10.0.0.0/8").contains("11.0.0.1")).toBe(false);
  expect(new AddressRange("fd00::/8").contains("fd12::1")).toBe(true);
  expect(new AddressRange("fd00::/8").contains("fe80::1")).toBe(false);
  expect(new AddressRange("nonsense").contains("10.0.0.1")).toBe(false);
});
