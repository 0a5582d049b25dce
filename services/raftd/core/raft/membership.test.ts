import { describe, expect, test } from "bun:test";
import {
  changedServers,
  checkedServers,
  decodeConfiguration,
  encodeConfiguration,
  Membership,
} from "./membership.ts";
import type { ConfigurationChange, Server } from "./messages.ts";

/** `a b- c`: - is a nonvoter. */
function servers(text: string): Server[] {
  return text.split(" ").filter(Boolean).map((word) => {
    const id = word.replace("-", "");
    return { id, address: `${id}:8300`, suffrage: word.endsWith("-") ? "nonvoter" : "voter" };
  });
}

function text(changed: readonly Server[] | string): string {
  if (typeof changed === "string") return changed;
  return changed.map((s) => s.id + (s.suffrage === "voter" ? "" : "-")).join(" ");
}

describe("changes", () => {
  const address = "x:8300";
  test.each<[string, ConfigurationChange, string]>([
    ["a c", { kind: "add-nonvoter", id: "b", address }, "a b- c"],
    ["a c", { kind: "add-voter", id: "b", address }, "a b c"],
    ["a b", { kind: "add-nonvoter", id: "b", address }, "a b"],
    ["a b-", { kind: "promote", id: "b" }, "a b"],
    ["a b", { kind: "demote", id: "b" }, "a b-"],
    ["a b", { kind: "remove", id: "a" }, "b"],
    ["a", { kind: "remove", id: "a" }, "need at least one voter"],
    ["a b-", { kind: "remove", id: "a" }, "need at least one voter"],
    ["a", { kind: "promote", id: "z" }, "server z is not a member"],
    ["a", { kind: "add-voter", id: "b", address: "a:8300" }, "found duplicate address a:8300"],
    [
      "a",
      { kind: "add-voter", id: "b", address: "" },
      "expected an address for server b, got none",
    ],
  ])("%s, %j → %s", (before, change, after) => {
    expect(text(changedServers(servers(before), change))).toBe(after);
  });
});

test("a duplicate id is refused", () => {
  expect(checkedServers([...servers("a"), ...servers("a")])).toBe("found duplicate server id a");
});

test("a configuration survives its bytes, and equal ones have equal bytes", () => {
  const some = servers("a b- c");
  const bytes = encodeConfiguration(some);
  expect(decodeConfiguration(9, bytes)).toEqual({ index: 9, servers: some });
  expect(encodeConfiguration(checkedServers([...some].reverse()) as Server[])).toEqual(bytes);
});

test("the newest configuration counts at once, and a cut brings back the one before", () => {
  const members = new Membership([{ index: 1, servers: servers("a b c") }]);
  members.append({ index: 5, servers: servers("a b c d") });
  expect(members.voters).toEqual(["a", "b", "c", "d"]);
  expect(members.committed(4).index).toBe(1);
  expect(members.truncateFrom(5)).toBe(true);
  expect(members.voters).toEqual(["a", "b", "c"]);
});

test("two voters changed at once are a bug", () => {
  const members = new Membership([{ index: 1, servers: servers("a b c") }]);
  expect(() => members.append({ index: 2, servers: servers("a b d") })).toThrow("one voter");
});
