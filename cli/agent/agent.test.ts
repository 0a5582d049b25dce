// The agent with its real daemons as processes: what signals, kills and bad configurations do.

import { afterAll, afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const curia = [process.execPath, join(import.meta.dir, "../curia.ts")];
const folder = mkdtempSync(join(tmpdir(), "curia-agent-"));
const startMs = 30_000;
const running = new Set<AgentProcess>();

afterEach(() => {
  for (const agent of running) agent.process.kill("SIGKILL");
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Ports that were free a moment ago. */
function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }),
  );
  const ports = listeners.map(({ port }) => port);
  for (const listener of listeners) listener.stop();
  return ports;
}

class AgentProcess {
  readonly process: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly runDir: string;
  readonly httpPort: number;
  text = "";
  #waiting: { pattern: RegExp; resolve(): void }[] = [];

  constructor(name: string, keys: Record<string, unknown>, flags: string[] = []) {
    const [http, dns, server, serfLan, serfWan] = freePorts(5) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const config = {
      data_dir: join(folder, name),
      node_name: name,
      bind_addr: "127.0.0.1",
      ports: { http, dns, server, serf_lan: serfLan, serf_wan: serfWan, grpc: -1, grpc_tls: -1 },
      performance: { leave_drain_time: "10ms" },
      ...keys,
    };
    this.runDir = join(folder, name, "run");
    this.httpPort = http;
    const file = join(folder, `${name}.json`);
    Bun.write(file, JSON.stringify(config));
    this.process = Bun.spawn([...curia, "agent", "-config-file", file, ...flags], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    running.add(this);
    this.process.exited.then(() => running.delete(this));
    this.#read();
  }

  /** Until the log matches. */
  async until(pattern: RegExp): Promise<void> {
    if (pattern.test(this.text)) return;
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push({ pattern, resolve });
      this.process.exited.then(() =>
        reject(new Error(`the agent ended before ${pattern}:\n${this.text}`))
      );
    });
  }

  untilReady(...daemons: string[]): Promise<unknown> {
    return Promise.all(daemons.map((name) => this.until(new RegExp(`${name}: ready`))));
  }

  pidOf(daemon: string): number {
    const lines = [...this.text.matchAll(new RegExp(`${daemon}: started: pid=(\\d+)`, "g"))];
    const started = [
      ...this.text.matchAll(new RegExp(`Started daemon: daemon=${daemon} pid=(\\d+)`, "g")),
    ];
    return Number((started.at(-1) ?? lines.at(-1))![1]);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.process.stdout) {
      this.text += decoder.decode(chunk, { stream: true });
      this.#waiting = this.#waiting.filter(({ pattern, resolve }) => {
        if (!pattern.test(this.text)) return true;
        resolve();
        return false;
      });
    }
  }
}

const serverKeys = { server: true, bootstrap: true, log_level: "DEBUG" };

/** A zombie that waits for its parent counts as gone. */
function isAlive(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  try {
    return existsSync(path) && !/\) Z /.test(readFileSync(path, "utf8"));
  } catch {
    return false;
  }
}

async function command(...words: string[]) {
  const child = Bun.spawn([...curia, ...words], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr, status };
}

test("a server runs its daemons, brings a killed one back, and stops with status 1", async () => {
  const agent = new AgentProcess("server", serverKeys);
  await agent.until(/Consul agent running!/);
  expect(agent.text).toContain("==> Starting Consul agent...");
  const dnsd = agent.pidOf("dnsd");
  process.kill(dnsd, "SIGKILL");
  await agent.until(/dnsd: ready[\s\S]*Daemon ended[\s\S]*dnsd: ready/);
  expect(agent.pidOf("dnsd")).not.toBe(dnsd);

  const ps = await command("ps", "-run-dir", agent.runDir);
  expect(ps.stdout).toMatch(/^agent +\d+ +ready/m);
  expect(ps.stdout).toMatch(/^raftd +\d+ +ready/m);
  expect(ps.stdout).toContain("role=leader");
  const logs = await command("logs", "raftd", "-n", "5", "-run-dir", agent.runDir);
  expect(logs.stdout.trim().split("\n").length).toBeLessThanOrEqual(5);
  expect(logs.stdout).toContain("raftd: ");
  const metrics = await command("metrics", "-run-dir", agent.runDir, "raftd");
  expect(metrics.stdout).toMatch(/^raftd_bus_calls_total \d+$/m);

  const reload = await command("reload", "-http-addr", `127.0.0.1:${agent.httpPort}`);
  expect(reload).toEqual({ stdout: "Configuration reload triggered\n", stderr: "", status: 0 });

  agent.process.kill("SIGTERM");
  expect(await agent.process.exited).toBe(1);
  expect(agent.text).toContain("agent: Exit code: code=1");
  expect(existsSync(join(agent.runDir, "raftd.sock"))).toBe(false);
}, startMs);

test("a client leaves on SIGTERM, with status 0", async () => {
  const agent = new AgentProcess("client", {});
  await agent.untilReady("gossipd");
  agent.process.kill("SIGTERM");
  expect(await agent.process.exited).toBe(0);
  expect(agent.text).toContain("Graceful exit completed");
}, startMs);

for (
  const [leaves, keys] of [
    [false, { leave_on_terminate: false }],
    [true, { ...serverKeys, leave_on_terminate: true }],
  ] as const
) {
  const who = "server" in keys ? "server" : "client";
  test(`a ${who} with leave_on_terminate = ${leaves} does so`, async () => {
    const agent = new AgentProcess(`terminated-${who}`, keys);
    await agent.untilReady("gossipd");
    agent.process.kill("SIGTERM");
    expect(await agent.process.exited).toBe(leaves ? 0 : 1);
    expect(agent.text.includes("Graceful exit completed")).toBe(leaves);
  }, startMs);
}

test("an agent that is killed takes its daemons with it", async () => {
  const agent = new AgentProcess("killed", serverKeys);
  await agent.untilReady("raftd", "gossipd", "checkd", "dnsd", "apid");
  const pids = ["raftd", "gossipd", "checkd", "dnsd", "apid"].map((name) => agent.pidOf(name));
  expect(pids.every(isAlive)).toBe(true);
  agent.process.kill("SIGKILL");
  while (pids.some(isAlive)) await Bun.sleep(10);
  const again = new AgentProcess("killed", serverKeys);
  await again.untilReady("raftd", "apid");
}, startMs);

test("a second agent on the same run directory is refused", async () => {
  const first = new AgentProcess("twice", serverKeys);
  await first.untilReady("gossipd");
  const second = await command("agent", "-config-file", join(folder, "twice.json"));
  expect(second.status).toBe(1);
  expect(second.stderr).toContain("==> Error starting agent: ");
}, startMs);

test("a configuration that cannot work is told before anything starts", async () => {
  const bad = await command("agent", "-bind=127.0.0.1");
  expect(bad).toEqual({ stdout: "", stderr: "==> data_dir cannot be empty\n", status: 1 });
  const level = await command("agent", "-dev", "-log-level=nonsense");
  expect(level.stderr).toContain("Invalid log level: NONSENSE");
});

test("log_json gives only JSON lines", async () => {
  const agent = new AgentProcess("json", { ...serverKeys, log_json: true });
  await agent.until(/"@message":"ready"/);
  agent.process.kill("SIGTERM");
  await agent.process.exited;
  for (const line of agent.text.trim().split("\n")) {
    expect(Object.keys(JSON.parse(line))).toContain("@level");
  }
}, startMs);
