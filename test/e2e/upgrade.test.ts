// Servers of two releases in one cluster: a kind of command that the next release brings is refused
// until every server announces it, and a server that meets it in the log unprepared stops for good.

import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Codec } from "#proto/messages.js";
import { CuriaError } from "#shared/errors.ts";
import { Load } from "./load.ts";
import { NextRelease } from "./next-release.ts";
import { loopbackNet, program, TestNode, until } from "./node.ts";
import { apply } from "./state-call.ts";

const next = new NextRelease();
const net = loopbackNet();
const addresses = [net(1), net(2), net(3)];
let codec: Codec<never, unknown>;

function server(n: number, build: readonly string[], folder?: string): TestNode {
  return new TestNode({
    name: `server-${n + 1}`,
    address: addresses[n]!,
    bootstrapExpect: 3,
    retryJoin: addresses,
    program: build,
    folder,
    config: { autopilot: { cleanup_dead_servers: false } },
  });
}
const servers = addresses.map((_, n) => server(n, program));

beforeAll(async () => {
  codec = await next.codec();
  for (const node of servers) node.start();
  await Promise.all(servers.map((node) => node.ready()));
}, 120_000);

afterAll(async () => {
  await Promise.all(servers.map((node) => node.remove()));
  next.remove();
}, 60_000);

/** The same node from another build. */
async function exchange(n: number, build: readonly string[]): Promise<TestNode> {
  await servers[n]!.stop();
  servers[n] = server(n, build, servers[n]!.folder).start();
  return servers[n]!;
}

const touched = (key: string) => ({ touch: { key: new TextEncoder().encode(key) } });

/** The text with which the kind of command that came later is refused; "": it was applied. */
async function touch(node: TestNode, key: string): Promise<string> {
  try {
    const { ok } = await apply(node, touched(key), { codec });
    return ok ? "" : "not ok";
  } catch (error) {
    if (!(error instanceof CuriaError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

async function untilTouched(node: TestNode, key: string): Promise<void> {
  let last = "";
  await until(`${node.name} takes the new kind`, 30_000, async () => {
    last = await touch(node, key);
    return last === "";
  }, () => last);
}

async function untilRefused(node: TestNode, behind: string): Promise<void> {
  let last = "";
  await until(`the new kind waits for ${behind}`, 30_000, async () => {
    last = await touch(node, "early");
    return last.endsWith(`: ${behind} must be upgraded first`);
  }, () => last);
  expect(last).toStartWith('failed-precondition: Commands of kind "touch" are refused');
}

async function value(node: TestNode, key: string): Promise<string> {
  const response = await node.fetch(`/v1/kv/${key}?raw&stale`);
  return response.ok ? await response.text() : "";
}

test("one server after the other is upgraded under load", async () => {
  expect(await touch(servers[0]!, "early")).toStartWith("invalid-argument: Expected a command");
  const load = new Load(addresses.map((_, n) => servers[n]!), 6);
  await load.more(50);
  for (const [n, waiting] of [[0, "server-2, server-3"], [1, "server-3"], [2, ""]] as const) {
    const upgraded = await (await exchange(n, next.program)).ready();
    await load.more(50);
    if (waiting !== "") await untilRefused(upgraded, waiting);
  }
  expect(await value(servers[2]!, "early")).toBe("");
  for (const node of servers) await untilTouched(node, node.name);
  await load.stop();
  for (const node of servers) await load.expectAll(node);
}, 180_000);

test("an old server that meets the new kind stops, and goes on when it is upgraded", async () => {
  const [first, , last] = servers as [TestNode, TestNode, TestNode];
  await last.stop();
  await first.put("/v1/kv/before", "1");
  await untilTouched(first, "while-away");
  await first.put("/v1/kv/after", "1");

  const old = await exchange(2, program);
  expect(await old.ended()).toBe(1);
  expect(old.log).toMatch(/at index \d+ but found field 12 of Command, which this release/);
  expect(old.log).toContain("starting it again will not help");
  expect(old.log.split("ended, starting it again").length).toBe(1);

  const again = await (await exchange(2, next.program)).ready();
  await until("it has what was written meanwhile", 30_000, async () => {
    return await value(again, "while-away") === "while-away" && await value(again, "after") === "1";
  });
  const all = async (node: TestNode) => (await node.fetch("/v1/kv/?recurse&consistent")).text();
  expect(await all(again)).toBe(await all(first));
}, 120_000);

test("an old server that comes back holds the new kind up again", async () => {
  const [first] = servers as [TestNode];
  await (await exchange(2, program)).ready();
  await untilRefused(first, "server-3");
  await (await exchange(2, next.program)).ready();
  await untilTouched(first, "again");
}, 120_000);
