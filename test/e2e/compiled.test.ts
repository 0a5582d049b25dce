// The one executable that `scripts/compile` makes, away from the sources: a node runs from it.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dig, loopbackNet, TestNode, until } from "./node.ts";

const folder = mkdtempSync(join(tmpdir(), "curia-compiled-"));
const file = join(folder, "curia");
const node = new TestNode({
  name: "server-1",
  address: loopbackNet()(1),
  bootstrapExpect: 1,
  program: [file],
});

beforeAll(async () => {
  const script = join(import.meta.dirname, "../../scripts/compile");
  const compiling = Bun.spawn([script, file], { stdout: "ignore", stderr: "pipe" });
  const errors = await new Response(compiling.stderr).text();
  if (await compiling.exited !== 0) throw new Error(errors);
}, 180_000);

afterAll(async () => {
  await node.remove();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

test("the compiled file runs a node: KV, service, DNS, a killed daemon, a restart", async () => {
  await node.start().ready();
  expect(await node.put("/v1/kv/compiled", "yes")).toBe("true");
  await node.put("/v1/agent/service/register", { Name: "web", Address: "10.4.4.4" });
  const isInDns = async () => (await dig(node.address, "web.service.consul"))[0] === "10.4.4.4";
  await until("the service is in DNS", 30_000, isInDns);
  await node.kill("raftd");
  await node.kill("dnsd");
  await until("the service is in DNS again", 30_000, isInDns);
  const ps = Bun.spawnSync([file, "ps", "-run-dir", node.runDir]);
  expect(ps.stdout.toString()).toMatch(/^raftd +\d+ +ready/m);
  await node.stop();
  await node.start().ready();
  expect(await (await node.fetch("/v1/kv/compiled?raw")).text()).toBe("yes");
}, 120_000);
