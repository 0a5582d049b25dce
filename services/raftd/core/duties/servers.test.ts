import { expect, test } from "bun:test";
import type { Suffrage } from "../raft/messages.ts";
import {
  type AutopilotSettings,
  failureTolerance,
  healthBody,
  type SerfStatus,
  ServerHealths,
  stateBody,
} from "./autopilot.ts";
import type { ServerMember } from "./bootstrap.ts";
import { nextServerStep, type ServersView } from "./servers.ts";

const settings: AutopilotSettings = {
  cleanupDeadServers: true,
  lastContactThresholdMs: 200,
  maxTrailingLogs: 250,
  minQuorum: 0,
  serverStabilizationMs: 10_000,
};
const member = (id: string): ServerMember => ({
  id,
  name: `node-${id}`,
  address: `10.0.0.${id.charCodeAt(0)}:8300`,
  expect: 0,
  isBootstrap: false,
  isCuria: true,
});
const facts = (id: string, over: { lastContactMs?: number; lastIndex?: number } = {}) => ({
  id,
  name: `node-${id}`,
  address: member(id).address,
  version: "1.21.0",
  serfStatus: "alive" as const,
  isLeader: id === "a",
  isVoter: true,
  lastContactMs: 10,
  lastTerm: 3,
  lastIndex: 1_000,
  ...over,
});
const leader = { term: 3, lastIndex: 1_000 };

function view(
  members: Record<string, Suffrage>,
  statuses: Record<string, SerfStatus>,
  healths = new ServerHealths(),
): ServersView {
  const servers = Object.entries(members).map(([id, suffrage]) => ({
    id,
    address: member(id).address,
    suffrage,
  }));
  return {
    self: "a",
    configuration: { index: 1, servers },
    alive: Object.keys(statuses).filter((id) => statuses[id] === "alive").map(member),
    status: (id) => statuses[id],
    healths,
    ledSinceWallMs: 0,
    settings,
  };
}

test("a new server joins as a non-voter and is promoted once it was healthy for long enough", () => {
  const joining = view({ a: "voter" }, { a: "alive", b: "alive" });
  expect(nextServerStep(joining, 60_000)).toMatchObject({
    change: { kind: "add-nonvoter", id: "b" },
  });
  const healths = new ServerHealths();
  healths.observe([facts("a"), facts("b")], leader, settings, 60_000);
  const joined = view({ a: "voter", b: "nonvoter" }, { a: "alive", b: "alive" }, healths);
  expect(nextServerStep(joined, 65_000)).toBeUndefined();
  expect(nextServerStep(joined, 70_000)).toMatchObject({ change: { kind: "promote", id: "b" } });
});

test("a server that falls behind or is not heard begins its time anew", () => {
  const healths = new ServerHealths();
  healths.observe([facts("b")], leader, settings, 0);
  healths.observe([facts("b", { lastIndex: 700 })], leader, settings, 5_000);
  expect(healths.find("b")).toMatchObject({ isHealthy: false, stableSinceWallMs: 5_000 });
  healths.observe([facts("b")], leader, settings, 6_000);
  expect(healths.find("b")).toMatchObject({ isHealthy: true, stableSinceWallMs: 6_000 });
  healths.observe([facts("b", { lastContactMs: 300 })], leader, settings, 7_000);
  expect(healths.find("b")!.isHealthy).toBe(false);
});

test("who left is removed, who failed is made to leave, who is unknown is removed", () => {
  const three = { a: "voter", b: "voter", c: "voter" } as const;
  const step = (statuses: Record<string, SerfStatus>) =>
    nextServerStep(view(three, statuses), 60_000);
  expect(step({ a: "alive", b: "alive", c: "left" })).toMatchObject({
    change: { kind: "remove", id: "c" },
  });
  expect(step({ a: "alive", b: "alive", c: "failed" })).toEqual({ kind: "force-leave", id: "c" });
  expect(step({ a: "alive", b: "alive" })).toMatchObject({ change: { kind: "remove", id: "c" } });
});

test("dead voters stay while the quorum cannot spare them", () => {
  const two = view({ a: "voter", b: "voter" }, { a: "alive", b: "failed" });
  expect(nextServerStep(two, 60_000)).toBeUndefined();
  const many = view(
    { a: "voter", b: "voter", c: "voter" },
    { a: "alive", b: "failed", c: "failed" },
  );
  expect(nextServerStep(many, 60_000)).toBeUndefined();
  const kept = { ...view({ a: "voter", b: "voter", c: "voter" }, { a: "alive", b: "alive" }) };
  const settingsOf = (over: Partial<AutopilotSettings>) => ({
    ...kept,
    settings: { ...settings, ...over },
  });
  expect(nextServerStep(settingsOf({ minQuorum: 3 }), 60_000)).toBeUndefined();
  expect(nextServerStep(settingsOf({ cleanupDeadServers: false }), 60_000)).toBeUndefined();
});

test("a fresh leader removes nobody it may not have heard of yet", () => {
  expect(
    nextServerStep(view({ a: "voter", b: "voter", c: "voter" }, { a: "alive", b: "alive" }), 5_000),
  )
    .toBeUndefined();
});

test("health and state are shown as Consul shows them", () => {
  const healths = new ServerHealths();
  expect(healthBody(healths.all)).toEqual({ Healthy: false, FailureTolerance: 0, Servers: null });
  healths.observe(
    [facts("a"), facts("b"), facts("c", { lastContactMs: 5_000 })],
    leader,
    settings,
    0,
  );
  expect(failureTolerance(healths.all)).toBe(0);
  expect(healthBody(healths.all)).toMatchObject({
    Healthy: false,
    Servers: [
      { ID: "a", Leader: true, LastContact: "10ms", StableSince: "1970-01-01T00:00:00Z" },
      { ID: "b", Healthy: true },
      { ID: "c", Healthy: false, LastContact: "5s" },
    ],
  });
  expect(stateBody(healths.all)).toMatchObject({
    Leader: "a",
    Voters: ["a", "b", "c"],
    Servers: { a: { Status: "leader" }, b: { Status: "voter" } },
  });
});
