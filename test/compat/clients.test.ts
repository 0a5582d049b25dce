// Real clients of Consul, unchanged, against a real node: npm's `consul`, Python's `py-consul` and
// `python-consul`, and the Go module that Consul's own tools use.

import { afterAll, beforeAll, expect, test } from "bun:test";
import Consul from "consul";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loopbackNet, TestNode, until } from "../e2e/node.ts";

const clients = join(import.meta.dirname, "clients");
const cache = join(import.meta.dirname, "../../.cache/clients");
const node = new TestNode({ name: "server-1", address: loopbackNet()(1), bootstrapExpect: 1 });
const run = crypto.randomUUID().slice(0, 8);

beforeAll(async () => {
  mkdirSync(cache, { recursive: true });
  await node.start().ready();
}, 60_000);
afterAll(() => node.remove(), 60_000);

/** Runs a program to its end; its output is the answer, a failure shows all it said. */
async function say(command: string[], cwd = clients): Promise<string> {
  const program = Bun.spawn(command, { cwd, stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(program.stdout).text(),
    new Response(program.stderr).text(),
  ]);
  if ((await program.exited) !== 0) throw new Error(`${command.join(" ")}\n${out}${err}`);
  return out.trim();
}

test("the Go module registers, discovers, compares and sets, blocks, locks", async () => {
  const binary = join(cache, "go-client");
  await say(["go", "build", "-o", binary, "."], join(clients, "go"));
  expect(await say([binary, `${node.address}:8500`, run])).toBe("ok");
}, 300_000);

test("Go's gzip and tar and Consul's MessagePack module read our archive", async () => {
  const key = `archive/${run}`;
  await node.put(`/v1/kv/${key}?flags=7`, "kept");
  const response = await node.fetch("/v1/snapshot");
  const file = join(cache, `${run}.snap`);
  writeFileSync(file, await response.bytes());
  const binary = join(cache, "archive-reader");
  await say(["go", "build", "-o", binary, "."], join(clients, "archive"));
  const read = JSON.parse(await say([binary, file]));
  rmSync(file);
  expect(read.index).toBe(Number(response.headers.get("x-consul-index")));
  expect(read.keys[key]).toBe("kept");
  // Records of type 0 register nodes, services and checks.
  expect(read.records["0"]).toBeGreaterThan(0);
}, 300_000);

for (const name of ["py-consul==1.8.0", "python-consul==1.1.0"]) {
  test(`Python's ${name} registers, discovers, compares and sets, blocks`, async () => {
    const venv = join(cache, name);
    const python = join(venv, "bin/python");
    if (!existsSync(python)) await say(["python3", "-m", "venv", venv]);
    await say([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", name]);
    expect(await say([python, "python/client.py", node.address, run])).toBe("ok");
  }, 300_000);
}

test("npm's consul registers, discovers, compares and sets, watches", async () => {
  const consul = new Consul({ host: node.address, port: 8500 });
  expect(await consul.status.leader()).not.toBe("");
  await consul.agent.service.register({
    id: "js-1",
    name: `js-${run}`,
    port: 8080,
    check: { name: "alive", ttl: "30s", timeout: "10s" },
  });
  await consul.agent.check.pass("service:js-1");
  await until("the service passes", 10_000, async () => {
    // Its types leave out what it takes: `passing` here, `index` and `wait` below.
    const query = { service: `js-${run}`, passing: true } as { service: string };
    return Object.values(await consul.health.service(query)).length === 1;
  });

  const key = `js/${run}`;
  await consul.kv.set(key, "one");
  const before = await consul.kv.get(key);
  expect(before).toMatchObject({ Value: "one" });
  const index = before!.ModifyIndex;
  // The client turns an answer of `false` into undefined.
  expect(await consul.kv.set({ key, value: "x", cas: index - 1 })).not.toBe(true);
  expect(await consul.kv.get(key)).toMatchObject({ Value: "one" });
  const blocking = { key, index: String(index), wait: "10s" } as { key: string };
  const waiting = consul.kv.get(blocking);
  expect(await consul.kv.set({ key, value: "two", cas: index })).toBe(true);
  expect(await waiting).toMatchObject({ Value: "two" });

  const watch = consul.watch({ method: consul.kv.get, options: { key } });
  const changes: string[] = [];
  const changed = Promise.withResolvers<void>();
  watch.on("change", (entry: { Value: string }) => {
    changes.push(entry.Value);
    if (entry.Value === "three") changed.resolve();
    else void consul.kv.set(key, "three");
  });
  await changed.promise;
  watch.end();
  expect(changes).toEqual(["two", "three"]);
  await consul.agent.service.deregister("js-1");
}, 60_000);
