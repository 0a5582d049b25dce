// DNS over UDP: the rate and p99 of dnsd against floor programs that only send bytes back, and
// against Knot with one worker and the same names when it is on PATH; from one run on one machine,
// the load generator (dnsperf) beside them.
//
//   bun bench/dns.ts [seconds per measurement]

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const seconds = Number(process.argv[2] ?? 5);
const goal = 0.75;

interface Result {
  rate: number;
  meanMs: number;
  p99Ms: number;
  lost: number;
}

interface Program {
  name: string;
  command: string[];
  /** Not a script of ours. */
  isForeign?: boolean;
}

const here = import.meta.dir;
const floors: Program[] = [
  { name: "floor, node:dgram", command: [`${here}/dns-floor.ts`, "dgram"] },
  { name: "floor, Bun socket in batches", command: [`${here}/dns-floor.ts`, "batch"] },
];
const ours: Program = { name: "dnsd", command: [`${here}/dns-server.ts`] };

const loads: [string, string][] = [
  ["A, 10 instances", "web.service.consul A\n"],
  ["SRV, 10 instances", "web.service.consul SRV\n"],
  ["NXDOMAIN", "absent.service.consul A\n"],
  ["A, 100 services", many((i) => `service-${i}.service.consul A`, 100)],
  ["A, never cached", many((i) => `absent-${i}.service.consul A`, 200_000)],
];

function many(line: (i: number) => string, count: number): string {
  return Array.from({ length: count }, (_, i) => line(i)).join("\n") + "\n";
}

const knot = Bun.which("knotd") === null ? undefined : await knotProgram();

/** Prints its port, then becomes Knot. */
async function knotProgram(): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), "bench-knot-"));
  const free = await Bun.udpSocket({ hostname: "127.0.0.1" });
  const { port } = free;
  free.close();
  const rows = Array.from({ length: 10 }, (_, i) => [
    `web.service A 10.0.0.${i + 1}`,
    `web.service SRV 1 1 8080 node-${i + 1}.node.dc1`,
    `node-${i + 1}.node.dc1 A 10.0.0.${i + 1}`,
  ]).flat().concat(Array.from({ length: 100 }, (_, i) => `service-${i}.service A 10.1.0.${i}`));
  const soa = "@ SOA ns hostmaster 1 3600 600 86400 0\n@ NS ns\nns A 127.0.0.1\n";
  await Bun.write(`${folder}/zone`, `$ORIGIN consul.\n$TTL 0\n${soa}${rows.join("\n")}\n`);
  await Bun.write(
    `${folder}/knot.conf`,
    `server:\n  listen: 127.0.0.1@${port}\n  udp-workers: 1\n  rundir: ${folder}\n` +
      `database:\n  storage: ${folder}\nzone:\n  - domain: consul.\n    file: ${folder}/zone\n`,
  );
  const script = `echo ${port}; exec knotd -c ${folder}/knot.conf >/dev/null 2>&1`;
  return { name: "Knot, one worker", command: ["sh", "-c", script], isForeign: true };
}

if (Bun.which("dnsperf") === null) {
  console.error("dnsperf is not on PATH: apt-get install dnsperf");
  process.exit(2);
}
const rows: string[][] = [["load", "program", "answers/s", "mean ms", "p99 ms", "lost", "ratio"]];
let isMet = true;
for (const [name, queries] of loads) {
  const path = `${process.env["TMPDIR"] ?? "/tmp"}/dns-queries.${process.pid}`;
  await Bun.write(path, queries);
  const isFirst = name === loads[0]![0];
  const floorRates: number[] = [];
  const others = [...isFirst ? floors : floors.slice(1), ...knot === undefined ? [] : [knot]];
  for (const floor of others) {
    const result = await measure(floor, path);
    floorRates.push(result.rate);
    rows.push(row(name, floor.name, result, ""));
  }
  const result = await measure(ours, path);
  const ratios = floorRates.map((rate) => result.rate / rate);
  // Knot is a goal of its own kind: more than a socket in JavaScript can do.
  if (isFirst) isMet = Math.max(...floorRates) * goal <= result.rate;
  rows.push(row(name, ours.name, result, ratios.map((ratio) => ratio.toFixed(2)).join(" / ")));
  await Bun.file(path).delete();
}
const widths = rows[0]!.map((_, i) => Math.max(...rows.map((cells) => cells[i]!.length)));
for (const cells of rows) console.log(cells.map((cell, i) => cell.padEnd(widths[i]!)).join("  "));
console.log(`goal for A: ${goal} of the better floor: ${isMet ? "met" : "missed"}`);
process.exit(isMet ? 0 : 1);

function row(load: string, program: string, result: Result, ratio: string): string[] {
  const { rate, meanMs, p99Ms, lost } = result;
  const numbers = [rate.toFixed(0), meanMs.toFixed(2), p99Ms.toFixed(2), String(lost)];
  return [load, program, ...numbers, ratio];
}

async function measure(program: Program, path: string): Promise<Result> {
  const command = program.isForeign === true
    ? program.command
    : [process.execPath, ...program.command];
  const server = Bun.spawn(command, { stderr: "inherit" });
  const reader = server.stdout.getReader();
  const port = new TextDecoder().decode((await reader.read()).value).trim();
  await load(port, path, 1);
  const result = await load(port, path, seconds);
  server.kill();
  await server.exited;
  return result;
}

async function load(port: string, path: string, forSeconds: number): Promise<Result> {
  const flags = ["-s", "127.0.0.1", "-p", port, "-d", path, "-l", String(forSeconds)];
  const run = Bun.spawn(["dnsperf", ...flags, "-c", "16", "-q", "200"], { stderr: "ignore" });
  const prober = await Prober.start(Number(port), await firstQuestion(path));
  const output = await new Response(run.stdout).text();
  const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? NaN);
  return {
    rate: number(/Queries per second:\s+([\d.]+)/),
    meanMs: number(/Average Latency \(s\):\s+([\d.]+)/) * 1000,
    p99Ms: prober.stop(),
    lost: number(/Queries lost:\s+(\d+)/),
  };
}

async function firstQuestion(path: string): Promise<Uint8Array> {
  const [name, type] = (await Bun.file(path).text()).split("\n")[0]!.split(" ") as [string, string];
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
  const code = type === "SRV" ? 33 : 1;
  return Uint8Array.from([0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, code, 0, 1]);
}

/** One more client beside the load, which asks once a millisecond and notes how long it took:
 *  dnsperf itself tells only the mean. */
class Prober {
  readonly #sentMs = new Map<number, number>();
  readonly #tookMs: number[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;
  #id = 0;
  #close = () => {};

  static async start(port: number, question: Uint8Array): Promise<Prober> {
    const prober = new Prober();
    const socket = await Bun.udpSocket({
      connect: { hostname: "127.0.0.1", port },
      socket: {
        data: (_, reply) => prober.#received(reply.readUInt16BE(0)),
        // The program is still starting, or gone: no answer then.
        error: () => {},
      },
    });
    prober.#close = () => socket.close();
    prober.#timer = setInterval(() => {
      const message = question.slice();
      prober.#id = (prober.#id + 1) & 0xffff;
      message[0] = prober.#id >>> 8;
      message[1] = prober.#id;
      prober.#sentMs.set(prober.#id, performance.now());
      try {
        socket.send(message);
      } catch {
        prober.#sentMs.delete(prober.#id);
      }
    }, 1);
    return prober;
  }

  #received(id: number): void {
    const sentMs = this.#sentMs.get(id);
    if (sentMs !== undefined) this.#tookMs.push(performance.now() - sentMs);
    this.#sentMs.delete(id);
  }

  /** The 99th percentile in milliseconds. */
  stop(): number {
    clearInterval(this.#timer);
    this.#close();
    this.#tookMs.sort((a, b) => a - b);
    return this.#tookMs[Math.floor(this.#tookMs.length * 0.99)] ?? NaN;
  }
}
