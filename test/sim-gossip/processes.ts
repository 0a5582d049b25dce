// Measures real gossipd processes on loopback: `bun test/sim-gossip/processes.ts [count] [seconds]`.
// Prints CPU, memory and traffic of a quiet pool, per process.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Control, Gossip } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";

const wanted = Number(process.argv[2] ?? 30);
const seconds = Number(process.argv[3] ?? 60);
const basePort = 20_000 + Math.floor(Math.random() * 20_000);
const folder = mkdtempSync(join(tmpdir(), "curia-many-"));
const main = new URL("../../services/gossipd/main.ts", import.meta.url).pathname;
const identity = { daemon: "bench", release: "0", nodeId: "", node: "bench", datacenter: "dc1" };
/** Linux counts CPU time in hundredths of a second. */
const ticksPerSecond = 100;

const processes = Array.from({ length: wanted }, (_, i) => {
  const args = [
    `-node=n${i}`,
    "-bind=127.0.0.1",
    `-data-dir=${folder}/n${i}`,
    `-serf-lan-port=${basePort + i}`,
    `-server-port=${basePort + wanted + i}`,
    `-retry-join=127.0.0.1:${basePort}`,
    `-hcl=run_dir = "${folder}/r${i}"`,
    '-hcl=retry_interval = "1s"',
    // No checkd runs here, and saying so would be traffic.
    '-hcl=checkd_absence_timeout = "1h"',
  ];
  const spawned = Bun.spawn([process.execPath, main, ...args], { stdout: "ignore" });
  const addresses = [{ path: `${folder}/r${i}/gossipd.sock` }];
  return { spawned, client: new BusClient({ addresses, daemon: "gossipd", identity }) };
});

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

function memoryMb(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(/^Pss:\s+(\d+)/m.exec(rollup)![1]) / 1024;
}

async function counter(client: BusClient, name: string): Promise<number> {
  const { body } = await client.of(Control).metrics({ format: "prometheus" });
  return Number(new RegExp(`^${name} (\\d+)`, "m").exec(body)?.[1] ?? NaN);
}

async function sum(read: (one: (typeof processes)[number]) => Promise<number> | number) {
  let total = 0;
  for (const one of processes) total += await read(one);
  return total;
}

try {
  const startMs = performance.now();
  while (true) {
    const seen = await Promise.all(processes.map(async ({ client }) => {
      const reply = await client.of(Gossip).members({ wan: false }).catch(() => undefined);
      return reply?.members.length ?? 0;
    }));
    if (seen.every((count) => count === wanted)) break;
    if (performance.now() - startMs > 120_000) throw new Error(`members seen: ${seen.join(" ")}`);
    await Bun.sleep(200);
  }
  console.log(
    `${wanted} processes see each other after ${Math.round(performance.now() - startMs)} ms`,
  );
  await Bun.sleep(10_000);
  const before = await sum(({ spawned }) => cpuSeconds(spawned.pid));
  const packets = await sum(({ client }) => counter(client, "gossipd_lan_packets_out_total"));
  const bytes = await sum(({ client }) => counter(client, "gossipd_lan_bytes_out_total"));
  await Bun.sleep(seconds * 1000);
  const each = (total: number) => total / wanted / seconds;
  const cpu = await sum(({ spawned }) => cpuSeconds(spawned.pid)) - before;
  const packetsLater = await sum(({ client }) => counter(client, "gossipd_lan_packets_out_total"));
  const bytesLater = await sum(({ client }) => counter(client, "gossipd_lan_bytes_out_total"));
  const memory = await sum(({ spawned }) => memoryMb(spawned.pid));
  console.log(
    `CPU ${(each(cpu) * 100).toFixed(2)} % of a core, PSS ${(memory / wanted).toFixed(1)} MB`,
  );
  console.log(
    `${each(packetsLater - packets).toFixed(2)} packets/s, ${
      each(bytesLater - bytes).toFixed(0)
    } B/s sent`,
  );
} finally {
  for (const { spawned, client } of processes) {
    client.close();
    spawned.kill("SIGKILL");
  }
  await Promise.all(processes.map(({ spawned }) => spawned.exited));
  rmSync(folder, { recursive: true, force: true });
}
