// A whole node in real processes for end-to-end tests and benchmarks: `curia agent` on a loopback
// address of its own, so that several nodes with Consul's ports share one machine.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Control } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import type { DaemonStatus } from "#proto/messages.js";

const root = join(import.meta.dirname, "../..");

/** How a node is run: from the sources, or another executable with the same command line. */
export const program = process.env["CURIA_PROGRAM_UNDER_TEST"]?.split(" ") ??
  [process.execPath, join(root, "cli/curia.ts")];

export interface NodeOptions {
  name: string;
  /** Its loopback address; all its ports are Consul's on it. */
  address: string;
  server?: boolean;
  bootstrapExpect?: number;
  retryJoin?: string[];
  /** More of the agent's configuration. */
  config?: Record<string, unknown>;
  /** Instead of the program under test. */
  program?: readonly string[];
  /** Kept between two starts of the same node. */
  folder?: string;
}

/** Loopback addresses that no other run of this machine uses: 127.x.y.1, .2, … */
export function loopbackNet(): (node: number) => string {
  const [x, y] = crypto.getRandomValues(new Uint8Array(2));
  return (node) => `127.${1 + (x! % 254)}.${y}.${node}`;
}

type TypedControl = ReturnType<typeof controlOf>;
const controlOf = (client: BusClient) => client.of(Control);

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;

export class TestNode {
  readonly name: string;
  readonly address: string;
  readonly folder: string;
  readonly http: string;
  readonly #options: NodeOptions;
  #agent: Bun.Subprocess<"ignore", Bun.BunFile, Bun.BunFile> | undefined;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.name = options.name;
    this.address = options.address;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), "curia-"));
    this.http = `http://${options.address}:8500`;
  }

  get runDir(): string {
    return join(this.folder, "run");
  }

  get logFile(): string {
    return join(this.folder, "agent.log");
  }

  /** Starts the agent; does not wait for anything. */
  start(): this {
    const { name, address, server = true, bootstrapExpect, retryJoin, config } = this.#options;
    mkdirSync(this.folder, { recursive: true });
    const file = join(this.folder, "agent.json");
    writeFileSync(
      file,
      JSON.stringify({
        node_name: name,
        server,
        data_dir: join(this.folder, "data"),
        run_dir: this.runDir,
        bind_addr: address,
        client_addr: address,
        ...(bootstrapExpect === undefined ? {} : { bootstrap_expect: bootstrapExpect }),
        ...(retryJoin === undefined ? {} : { retry_join: retryJoin, retry_interval: "1s" }),
        ...config,
      }),
    );
    const output = Bun.file(this.logFile);
    const { program: own = program } = this.#options;
    this.#agent = Bun.spawn([...own, "agent", "-config-file", file], {
      stdin: "ignore",
      stdout: output,
      stderr: output,
    });
    return this;
  }

  get pid(): number {
    if (this.#agent === undefined) throw new Error(`${this.name} was not started`);
    return this.#agent.pid;
  }

  /** The exit status of the agent, once it has ended by itself. */
  async ended(): Promise<number> {
    if (this.#agent === undefined) throw new Error(`${this.name} was not started`);
    return await this.#agent.exited;
  }

  get log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(this.http + path, init);
  }

  async json<T>(path: string): Promise<T> {
    const response = await this.fetch(path);
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return await response.json() as T;
  }

  async put(path: string, body: unknown = ""): Promise<string> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = await this.fetch(path, { method: "PUT", body: text });
    const answer = await response.text();
    if (!response.ok) throw new Error(`PUT ${path}: ${response.status} ${answer}`);
    return answer;
  }

  /** Waits until the HTTP API names a leader. */
  async ready(): Promise<this> {
    await until(`${this.name} sees a leader`, START_TIMEOUT_MS, async () => {
      if (this.#agent?.exitCode !== null) throw new Error(`the agent ended:\n${this.log}`);
      const leader = await this.json<string>("/v1/status/leader").catch(() => "");
      return leader !== "";
    }, () => this.log.split("\n").slice(-40).join("\n"));
    return this;
  }

  /** What a daemon says of itself; undefined while it does not answer. An instance has its number
   *  in its name: `dnsd.2`. */
  async status(daemon: string): Promise<DaemonStatus | undefined> {
    try {
      return await this.#control(daemon, (control) => control.status({}, { timeoutMs: 500 }));
    } catch {
      return undefined;
    }
  }

  /** Waits until each of the daemons says that it is ready. */
  async allReady(daemons: readonly string[]): Promise<void> {
    let reasons: string[] = [];
    await until(
      `every daemon of ${this.name} is ready`,
      START_TIMEOUT_MS,
      async () => {
        const statuses = await Promise.all(daemons.map((name) => this.status(name)));
        reasons = statuses.flatMap((status, n) =>
          status?.ready ? [] : [`${daemons[n]}: ${status?.reason ?? "no answer"}`]
        );
        return reasons.length === 0;
      },
      () => `${reasons.join("\n")}\n${this.log.split("\n").slice(-60).join("\n")}`,
    );
  }

  /** The process of a daemon, once it answers. */
  async pidOf(daemon: string): Promise<number> {
    let pid: number | undefined;
    await until(`${daemon} of ${this.name} answers`, START_TIMEOUT_MS, async () => {
      pid = (await this.status(daemon))?.pid;
      return pid !== undefined;
    });
    return pid!;
  }

  /** The process of each of the daemons. */
  async pids(daemons: readonly string[]): Promise<Record<string, number>> {
    const pids = daemons.map(async (name) => [name, await this.pidOf(name)] as const);
    return Object.fromEntries(await Promise.all(pids));
  }

  /** The sum of a daemon's counters whose names match. */
  async counted(daemon: string, pattern: RegExp): Promise<number> {
    const { body } = await this.#control(
      daemon,
      (control) => control.metrics({ format: "prometheus" }, { timeoutMs: 5_000 }),
    );
    const lines = body.split("\n").filter((line) => pattern.test(line) && !line.startsWith("#"));
    if (lines.length === 0) throw new Error(`${daemon} has no metric ${pattern}:\n${body}`);
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  async #control<T>(daemon: string, ask: (control: TypedControl) => Promise<T>): Promise<T> {
    const client = new BusClient({
      addresses: [{ path: join(this.runDir, `${daemon}.sock`) }],
      daemon,
      identity: {
        daemon: "test",
        release: "test",
        nodeId: "",
        node: this.name,
        datacenter: "dc1",
      },
    });
    try {
      return await ask(controlOf(client));
    } finally {
      client.close();
    }
  }

  /** SIGKILL to one daemon; settles when its successor is ready. */
  async kill(daemon: string): Promise<void> {
    const before = await this.pidOf(daemon);
    process.kill(before, "SIGKILL");
    await until(`${daemon} of ${this.name} is back`, START_TIMEOUT_MS, async () => {
      const status = await this.status(daemon);
      return status !== undefined && status.pid !== before && status.ready;
    });
  }

  /** SIGKILL to the agent and so to all of the node. */
  async killAll(): Promise<void> {
    this.#agent?.kill("SIGKILL");
    await this.#agent?.exited;
    await until(
      `${this.name} is gone`,
      STOP_TIMEOUT_MS,
      async () =>
        (await Promise.all(["apid", "raftd", "gossipd"].map((daemon) => this.status(daemon))))
          .every((status) => status === undefined),
    );
  }

  async stop(): Promise<void> {
    const agent = this.#agent;
    if (agent === undefined) return;
    agent.kill("SIGTERM");
    const timer = setTimeout(() => agent.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await agent.exited;
    clearTimeout(timer);
    this.#agent = undefined;
  }

  /** Stops it and forgets all it had. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Asks again until it is true; fails with what was waited for. Between two questions only time can
 *  pass: the other side is another process. */
export async function until(
  what: string,
  timeoutMs: number,
  isSo: () => Promise<boolean> | boolean,
  evidence: () => string = () => "",
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > endMs) {
      throw new Error(`Expected within ${timeoutMs} ms: ${what}\n${evidence()}`);
    }
    await Bun.sleep(20);
  }
}

/** Answers of a DNS server as dig prints them, one a line. */
export async function dig(address: string, name: string, type = "A"): Promise<string[]> {
  const args = ["+short", "+time=2", "+tries=1", "-p", "8600", `@${address}`, name, type];
  const asked = Bun.spawn(["dig", ...args], { stdout: "pipe" });
  const text = await new Response(asked.stdout).text();
  await asked.exited;
  return text.split("\n").filter((line) => line !== "" && !line.startsWith(";"));
}
