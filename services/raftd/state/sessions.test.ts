import { expect, test } from "bun:test";
import { bytes, FixtureStore } from "./fixture-store.ts";

const id = "11111111-2222-3333-4444-555555555555";

function withNode(): FixtureStore {
  const fixture = new FixtureStore();
  fixture.register({ node: "n1" }, {
    checks: [
      { checkId: "serfHealth", name: "s", status: "passing" },
      { checkId: "bad", name: "b", status: "critical" },
    ],
  });
  return fixture;
}

test("a session needs its node and checks that are not critical", () => {
  const fixture = withNode();
  const errorOf = (session: object) => fixture.session({ id, node: "n1", ...session }).error;
  expect(errorOf({ node: "" })).toBe("Must provide Node");
  expect(errorOf({ behavior: "keep" })).toBe("Invalid Behavior setting 'keep'");
  expect(errorOf({ node: "none" })).toBe("apply failed: Missing node registration");
  expect(errorOf({ nodeChecks: ["nocheck"] }))
    .toBe("apply failed: Missing check 'nocheck' registration");
  expect(errorOf({ serviceChecks: [{ id: "bad" }] }))
    .toBe("apply failed: Check 'bad' is in critical state");
  expect(errorOf({ checks: ["bad"] })).toBe("apply failed: Check 'bad' is in critical state");
  expect(fixture.ask({ sessions: {} }).sessions).toEqual([]);
});

test("a session is stored as spelled and found by node without case", () => {
  const fixture = withNode();
  fixture.session({ id, node: "N1", lockDelayNs: "-5000000000", nodeChecks: ["serfHealth"] });
  const stored = {
    id,
    node: "N1",
    behavior: "release",
    lockDelayNs: "-5000000000",
    createIndex: 2,
    modifyIndex: 2,
  };
  expect(fixture.ask({ sessions: { node: "n1" } }).sessions).toMatchObject([stored]);
  expect(fixture.ask({ sessions: { id } })).toMatchObject({
    sessions: [stored],
    meta: { index: 2, notFound: false },
  });
  expect(fixture.ask({ sessions: { id: "nope" } })).toMatchObject({
    sessions: [],
    meta: { index: 2, notFound: true },
  });
});

test("destroying what does not exist is done already", () => {
  const fixture = withNode();
  expect(fixture.run({ session: { destroy: id } }).ok).toBe(true);
  expect(fixture.last.changes.groups).toEqual([]);
});

test("a query bound to a session goes with it", () => {
  const fixture = withNode();
  const bodyJson = bytes(JSON.stringify({ Name: "q", Session: id }));
  const document = { kind: "prepared-query", id: "q1", bodyJson };
  expect(fixture.run({ document: { document } }).error).toBe(`invalid session "${id}"`);
  fixture.session({ id, node: "n1" });
  expect(fixture.run({ document: { document } }).ok).toBe(true);
  const documents = { documents: { kind: "prepared-query" } };
  expect(fixture.ask(documents).documents).toHaveLength(1);
  fixture.run({ session: { destroy: id } });
  expect(fixture.ask(documents)).toMatchObject({ documents: [], meta: { index: 5 } });
});
