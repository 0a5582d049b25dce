// Starts a Curia server node with a variant's configuration on ports of its own, and waits until it
// answers.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Variant } from "./dns-catalog.ts";

type Config = Record<string, unknown>;

const readyMs = 30_000;

export class Lab {
  readonly target: { http: string; host: string; port: number };
  readonly #folder: string;
  readonly #agents: Bun.Subprocess[];

  private constructor(folder: string, base: number, agents: Bun.Subprocess[]) {
    this.#folder = folder;
    this.#agents = agents;
    const http = `http://127.0.0.1:${base}`;
    this.target = { http, host: "127.0.0.1", port: base + 6 };
  }

  static async start(baseConfig: Config, variant: Variant): Promise<Lab> {
    const folder = await mkdtemp(join(tmpdir(), "curia-dns-"));
    const base = 20_000 + 40 * Math.floor(Math.random() * 300);
    const agents = [await startAgent(folder, "one", merge(baseConfig, variant.config), base)];
    if (variant.second !== undefined) {
      const joins = { retry_join_wan: [`127.0.0.1:${base + 2}`], retry_interval_wan: "1s" };
      const config = merge(merge(baseConfig, variant.second), joins);
      agents.push(await startAgent(folder, "two", config, base + 20));
    }
    const lab = new Lab(folder, base, agents);
    await lab.#awaitReady(variant.token);
    return lab;
  }

  async #awaitReady(token?: string): Promise<void> {
    const headers: Record<string, string> = token === undefined ? {} : { "X-Consul-Token": token };
    const deadlineMs = performance.now() + readyMs;
    while (performance.now() < deadlineMs) {
      try {
        const url = `${this.target.http}/v1/kv/ready`;
        const response = await fetch(url, { method: "PUT", body: "x", headers });
        if (response.ok) return;
      } catch {
        // Not listening yet.
      }
      await Bun.sleep(100);
    }
    console.log(`no server got ready; its logs are in ${this.#folder}`);
  }

  async stop(): Promise<void> {
    for (const agent of this.#agents) agent.kill("SIGINT");
    await Promise.all(this.#agents.map((agent) => agent.exited));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function startAgent(
  folder: string,
  name: string,
  config: Config,
  base: number,
): Promise<Bun.Subprocess> {
  const ports = { http: base, dns: base + 6, server: base + 3, serf_lan: base + 1 };
  const full = merge(config, {
    data_dir: join(folder, name, "data"),
    ports: { ...ports, serf_wan: base + 2, grpc: -1, grpc_tls: -1 },
  });
  await mkdir(join(folder, name));
  const path = join(folder, name, "agent.json");
  await Bun.write(path, JSON.stringify(full));
  const curia = join(import.meta.dir, "../../cli/curia.ts");
  const log = Bun.file(join(folder, name, "log"));
  return Bun.spawn([process.execPath, curia, "agent", "-config-file", path], {
    stdout: log,
    stderr: log,
  });
}

function merge(a: Config, b: Config): Config {
  const out = { ...a };
  for (const [key, value] of Object.entries(b)) {
    const old = out[key];
    out[key] = isObject(old) && isObject(value) ? merge(old, value) : value;
  }
  return out;
}

function isObject(value: unknown): value is Config {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
