// dnsd as processes, fed by a stand-in for the state over the real bus.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decode } from "dns-packet";
import type { ChangeBatchInput, ChangeInput } from "#proto/messages.js";
import { Control, State } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import { BusServer } from "#shared/bus/server.ts";
import type { OutStream } from "#shared/bus/types.ts";
import { encodeQuestion } from "../core/wire/upstream.ts";

const identity = { daemon: "raftd", release: "0.1.0", nodeId: "", node: "n", datacenter: "dc1" };
const main = join(import.meta.dir, "../main.ts");
const streams = new Set<OutStream<ChangeBatchInput>>();
let folder: string;
let port: number;
let state: BusServer;
let topics: string[] = [];
const processes: Bun.Subprocess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "dnsd-"));
  port = await freePort();
  const runDir = join(folder, "data/run");
  mkdirSync(runDir, { recursive: true });
  writeFileSync(
    join(folder, "agent.json"),
    JSON.stringify({
      ...{ server: true, bootstrap: true, node_name: "n", data_dir: join(folder, "data") },
      ...{ bind_addr: "127.0.0.1", ports: { dns: port }, instances: { dnsd: 2 } },
    }),
  );
  state = new BusServer({ identity });
  state.serve(State, {
    subscribe: (request, _call, stream) => {
      topics = request.topics;
      streams.add(stream);
      stream.onClose(() => streams.delete(stream));
      stream.write({ resync: true, index: 5, generation: 1 });
      stream.write({ ...batch(5, instance("10.0.0.1")), viewComplete: true });
    },
  });
  await state.listen({ path: join(runDir, "state.sock") });
});

afterAll(async () => {
  for (const one of processes) one.kill("SIGKILL");
  await Promise.all(processes.map((one) => one.exited));
  await state.stop(0);
  rmSync(folder, { recursive: true, force: true });
});

function batch(index: number, changes: ChangeInput[]): ChangeBatchInput {
  const bookmark = { index, generation: 1, knownLeader: true, lastContactMs: 0 };
  return { index, generation: 1, changes, bookmark };
}

function instance(address: string): ChangeInput[] {
  return [
    { node: { node: "web-node", address, datacenter: "dc1" } },
    { service: { node: "web-node", id: "web", service: "web", port: 80 } },
  ];
}

async function freePort(): Promise<number> {
  const socket = await Bun.udpSocket({ hostname: "127.0.0.1" });
  const { port: free } = socket;
  socket.close();
  return free;
}

/** Resolves once the process says that it is ready. */
async function start(number: number): Promise<Bun.Subprocess> {
  const flags = ["-config-file", join(folder, "agent.json"), "-instance", String(number)];
  const process_ = Bun.spawn([process.execPath, main, ...flags], { stdout: "pipe" });
  processes.push(process_);
  const decoder = new TextDecoder();
  let log = "";
  for await (const chunk of process_.stdout) {
    log += decoder.decode(chunk);
    if (log.includes('"msg":"ready"')) return process_;
  }
  throw new Error(`dnsd ended before it was ready: ${log}`);
}

/** The address that a new client is told; undefined when no answer came in time. */
async function ask(): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = await Bun.udpSocket({
    connect: { hostname: "127.0.0.1", port },
    socket: {
      data: (_, reply) => {
        const [answer] = decode(Buffer.from(reply)).answers!;
        resolve(answer?.type === "A" ? answer.data : "none");
      },
      error: () => resolve(undefined),
    },
  });
  socket.send(encodeQuestion(1, "web.service.consul.", 1)!);
  const timer = setTimeout(() => resolve(undefined), 1000);
  const address = await promise;
  clearTimeout(timer);
  socket.close();
  return address;
}

test("two instances answer on one port, follow the state, and one outlives the other", async () => {
  const [first] = await Promise.all([start(1), start(2)]);
  expect(topics).toContain("catalog");
  for (let i = 0; i < 20; i++) expect(await ask()).toBe("10.0.0.1");
  expect(streams.size).toBe(2);
  for (const stream of streams) stream.write(batch(6, instance("10.0.0.2")));
  // Both have it once each of them confirms the index.
  for (const number of [1, 2]) await indexReached(number, "6");
  for (let i = 0; i < 20; i++) expect(await ask()).toBe("10.0.0.2");
  first!.kill("SIGKILL");
  await first!.exited;
  for (let i = 0; i < 50; i++) expect(await ask()).toBe("10.0.0.2");
}, 20_000);

async function indexReached(number: number, index: string): Promise<void> {
  const path = join(folder, `data/run/dnsd.${number}.sock`);
  const client = new BusClient({ addresses: [{ path }], daemon: "dnsd", identity });
  for (;;) {
    const { details } = await client.of(Control).status({});
    if (details["index"] === index) break;
  }
  client.close();
}
