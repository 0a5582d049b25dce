// Unary calls between two processes over a Unix socket, and through a third one that passes them
// on: calls a second, and latency, by number outstanding. Usage: bun bench/bus.ts [seconds]

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { State } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import { BusServer } from "#shared/bus/server.ts";

const identity = { daemon: "bench", release: "0", nodeId: "", node: "bench", datacenter: "dc1" };

const entry = {
  key: Buffer.from("some/key/of/usual/length"),
  value: Buffer.alloc(100, "v"),
  createIndex: 12345,
  modifyIndex: 0,
};

if (process.argv[2] === "serve") {
  const server = new BusServer({ identity });
  server.serve(State, {
    apply: () => ({ index: 123456, ok: true }),
    read: (request) => ({
      meta: { index: 9, knownLeader: true },
      kv: [{ ...entry, modifyIndex: request.knownIndex }],
    }),
  });
  await server.listen({ path: process.argv[3]! });
  console.log("listening");
} else if (process.argv[2] === "forward") {
  const onward = new BusClient({
    addresses: [{ path: process.argv[4]! }],
    daemon: "bench",
    identity,
    waits: false,
  });
  const server = new BusServer({ identity });
  server.route = () => onward;
  await server.listen({ path: process.argv[3]! });
  console.log("listening");
} else await measure(Number(process.argv[2] ?? 3));

async function measure(seconds: number): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "curia-bench-"));
  const path = join(dir, "bench.sock");
  const relay = join(dir, "relay.sock");
  const callees = [await start("serve", path), await start("forward", relay, path)];
  await report("", path, seconds);
  await report("passed on: ", relay, seconds);
  for (const callee of callees) callee.kill();
  rmSync(dir, { recursive: true });
}

async function start(...args: string[]) {
  const callee = Bun.spawn([process.execPath, import.meta.path, ...args], { stdout: "pipe" });
  await callee.stdout.getReader().read();
  return callee;
}

async function report(label: string, path: string, seconds: number): Promise<void> {
  const client = new BusClient({ addresses: [{ path }], daemon: "bench", identity });
  const state = client.of(State);
  const { key, value } = entry;
  const apply = () => state.apply({ kv: { key, value } });
  const read = () => state.read({ query: { kvGet: { key } } });
  for (const [name, call] of [["apply", apply], ["read", read]] as const) {
    for (const outstanding of [1, 64, 256]) {
      await run(call, outstanding, 0.5);
      const { rate, p50, p99 } = await run(call, outstanding, seconds);
      console.log(
        `${label}${name} ${String(outstanding).padStart(4)} outstanding: ${Math.round(rate)}/s, ` +
          `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`,
      );
    }
  }
  client.close();
}

async function run(
  call: () => Promise<unknown>,
  outstanding: number,
  seconds: number,
): Promise<{ rate: number; p50: number; p99: number }> {
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  const latencies: number[] = [];
  let calls = 0;
  const worker = async () => {
    for (let nowMs = performance.now(); nowMs < endMs;) {
      await call();
      const doneMs = performance.now();
      if (calls++ % 16 === 0) latencies.push(doneMs - nowMs);
      nowMs = doneMs;
    }
  };
  await Promise.all(Array.from({ length: outstanding }, worker));
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? 0;
  return { rate: calls / ((performance.now() - startMs) / 1000), p50: at(0.5), p99: at(0.99) };
}
