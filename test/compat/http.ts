// Replays recordings of Consul's HTTP answers (fixtures/http) against a server and tells what
// differs. `bun test/compat/http.ts [-v] [--node NAME] URL [file…]`, or `replayHttp` from a test.

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type HttpAnswer, httpRequest } from "./http-client.ts";
import { type Env, expectJson, fill, Matcher, Unset } from "./http-match.ts";
import { type Exact, exactJson, plainJson } from "./exact-json.ts";

export const httpFixtures = join(import.meta.dir, "fixtures/http");

interface Step {
  name: string;
  method: string;
  path: string;
  headers?: Record<string, string>;
  json?: Exact;
  body?: string;
  base64?: string;
  repeat?: [string, bigint];
  pause_ms?: bigint;
  retry_ms?: bigint;
  meanwhile?: Step[];
  expect: {
    status: bigint | bigint[];
    headers?: Record<string, Exact>;
    json?: Exact;
    body?: Exact;
    base64?: Exact;
    took_ms?: [bigint, bigint];
  };
}

export interface StepReport {
  file: string;
  step: string;
  /** Empty: it passed. */
  differences: string[];
}

export interface ReplayOptions {
  url: string;
  /** Names without `.json`; all when empty. */
  files?: readonly string[];
  /** The agent's node name, when agent/self does not tell. */
  node?: string;
  report?(step: StepReport): void;
}

const retryMs = 250;

export async function replayHttp(options: ReplayOptions): Promise<StepReport[]> {
  const names = options.files?.length
    ? options.files
    : readdirSync(httpFixtures).filter((name) => name.endsWith(".json")).sort();
  const reports: StepReport[] = [];
  for (const name of names) {
    const file = basename(name, ".json");
    const text = readFileSync(join(httpFixtures, `${file}.json`), "utf8");
    const { steps } = exactJson(text) as unknown as { steps: Step[] };
    const env = await startEnv(options);
    const replay = new Replay(options.url, env, (step, differences) => {
      const report = { file, step: step.name, differences };
      reports.push(report);
      options.report?.(report);
    });
    for (const step of steps) await replay.step(step);
  }
  return reports;
}

async function startEnv(options: ReplayOptions): Promise<Env> {
  const letters = "bcdfghjkmnpqrstvwxz";
  const run = letters[Math.floor(Math.random() * letters.length)]! +
    Math.floor(Math.random() * 2 ** 28).toString(16).padStart(7, "0");
  const env: Env = new Map<string, Exact>([["run", run], ["node", ""], ["dc", "dc1"]]);
  try {
    const answer = await httpRequest(options.url, { method: "GET", path: "/v1/agent/self" });
    const self = exactJson(answer.body.toString()) as {
      Config: Record<string, string>;
      Member: Record<string, string>;
    };
    env.set("node", self.Config.NodeName!);
    env.set("node_id", self.Config.NodeID!);
    env.set("dc", self.Config.Datacenter!);
    env.set("address", self.Member.Addr!);
  } catch {
    // A server without an agent: the recordings that need its names will say so.
  }
  if (options.node) env.set("node", options.node);
  return env;
}

class Replay {
  readonly #url: string;
  readonly #env: Env;
  readonly #report: (step: Step, differences: string[]) => void;

  constructor(url: string, env: Env, report: (step: Step, differences: string[]) => void) {
    this.#url = url;
    this.#env = env;
    this.#report = report;
  }

  async step(step: Step, isInner = false): Promise<void> {
    if (!isInner) await Bun.sleep(Number(step.pause_ms ?? 0n));
    const deadlineMs = performance.now() + Number(step.retry_ms ?? 0n);
    for (;;) {
      const { differences, trial } = await this.#attempt(step);
      if (differences.length === 0 || performance.now() >= deadlineMs) {
        for (const [name, value] of trial) this.#env.set(name, value);
        return this.#report(step, differences);
      }
      await Bun.sleep(retryMs);
    }
  }

  async #attempt(step: Step): Promise<{ differences: string[]; trial: Env }> {
    let trial: Env = new Map(this.#env);
    try {
      const request = this.#send(step);
      request.catch(() => {});
      for (const inner of step.meanwhile ?? []) {
        await Bun.sleep(Number(inner.pause_ms ?? 0n));
        await this.step(inner, true);
      }
      const answer = await request;
      trial = new Map(this.#env);
      return { differences: compare(step.expect, answer, trial), trial };
    } catch (error) {
      const name = error instanceof Unset ? "Unset" : "Error";
      return { differences: [`${name}: ${(error as Error).message}`], trial: this.#env };
    }
  }

  #send(step: Step): Promise<HttpAnswer> {
    const env = this.#env;
    let body: Buffer | undefined;
    if (step.json !== undefined) body = Buffer.from(plainJson(step.json, env));
    else if (step.base64 !== undefined) body = Buffer.from(step.base64, "base64");
    else if (step.repeat !== undefined) {
      body = Buffer.from(step.repeat[0].repeat(Number(step.repeat[1])));
    } else if (step.body !== undefined) body = Buffer.from(fill(step.body, env));
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(step.headers ?? {})) {
      headers[name] = fill(value, env);
    }
    return httpRequest(this.#url, {
      method: step.method,
      path: fill(step.path, env),
      headers,
      body,
    });
  }
}

function compare(expected: Step["expect"], answer: HttpAnswer, env: Env): string[] {
  const matcher = new Matcher(env);
  const wanted = Array.isArray(expected.status) ? expected.status : [expected.status];
  const text = answer.body.toString("utf8");
  if (!wanted.includes(BigInt(answer.status))) {
    matcher.differences.push(
      `status: want ${wanted.join(" or ")}, got ${answer.status} ${text.slice(0, 200)}`,
    );
  }
  for (const [name, want] of Object.entries(expected.headers ?? {})) {
    matcher.header(name, want, answer.headers.get(name.toLowerCase()));
  }
  if (expected.json !== undefined) expectJson(matcher, expected.json, text);
  if (expected.body !== undefined) matcher.match(expected.body, text, "body");
  if (expected.base64 !== undefined) {
    matcher.match(expected.base64, answer.body.toString("base64"), "base64");
  }
  const [low, high] = expected.took_ms ?? [0n, 1_000_000_000n];
  if (answer.tookMs < Number(low) || answer.tookMs > Number(high)) {
    matcher.differences.push(`took ${Math.round(answer.tookMs)} ms, want ${low} to ${high}`);
  }
  return matcher.differences;
}

async function main(): Promise<void> {
  const arguments_ = process.argv.slice(2);
  const isVerbose = arguments_.includes("-v");
  const nodeAt = arguments_.indexOf("--node");
  const node = nodeAt < 0 ? "" : arguments_.splice(nodeAt, 2)[1]!;
  const [url, ...files] = arguments_.filter((argument) => argument !== "-v");
  if (url === undefined) {
    console.error("usage: bun test/compat/http.ts [-v] [--node NAME] URL [file…]");
    process.exit(2);
  }
  const reports = await replayHttp({
    url,
    files,
    node,
    report({ file, step, differences }) {
      if (differences.length > 0) console.log(`FAIL ${file}: ${step}: ${differences.join("; ")}`);
      else if (isVerbose) console.log(`ok   ${file}: ${step}`);
    },
  });
  const failed = reports.filter(({ differences }) => differences.length > 0).length;
  console.log(`${reports.length - failed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}

if (import.meta.main) await main();
