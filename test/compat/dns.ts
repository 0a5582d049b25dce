// Replays the recorded DNS cases against a running server, of whatever make.
//
//   bun test/compat/dns.ts --http URL --dns HOST:PORT [--config NAME] [--no-setup] [-v]
//   bun test/compat/dns.ts --lab [--config NAME]...     starts Curia for each variant
//
// The first form wants the server to run with the configuration that configs.json calls NAME. Exit
// status 0 when every case passes.

import { parseArgs } from "node:util";
import cases from "./fixtures/dns/cases.json";
import configs from "./fixtures/dns/configs.json";
import setup from "./fixtures/dns/setup.json";
import type { SetupRequest, Variant } from "./dns-catalog.ts";
import { askServer } from "./dns-client.ts";
import { checkCase, type DnsCase } from "./dns-compare.ts";
import { Lab } from "./dns-lab.ts";
import { Upstream } from "./dns-upstream.ts";

const variants = configs.variants as unknown as Record<string, Variant>;

const { values: flags } = parseArgs({
  options: {
    http: { type: "string" },
    dns: { type: "string" },
    config: { type: "string", multiple: true },
    lab: { type: "boolean" },
    "no-setup": { type: "boolean" },
    verbose: { type: "boolean", short: "v" },
  },
});

interface Target {
  http: string;
  host: string;
  port: number;
}

let passed = 0;
let failed = 0;
if (flags.lab === true) {
  for (const name of flags.config ?? Object.keys(variants)) {
    console.log(`== ${name}`);
    const lab = await Lab.start(configs.base, variants[name]!);
    try {
      await replay(name, lab.target);
    } catch (error) {
      failed++;
      console.log(`FAIL ${name}: ${error instanceof Error ? error.message : error}`);
    }
    await lab.stop();
  }
} else {
  if (flags.http === undefined || flags.dns === undefined) {
    console.error("either --lab, or --http URL and --dns HOST:PORT");
    process.exit(2);
  }
  const [host, port] = flags.dns.split(":") as [string, string];
  const target = { http: flags.http.replace(/\/$/, ""), host, port: Number(port) };
  await replay(flags.config?.[0] ?? "default", target);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

async function replay(name: string, target: Target): Promise<void> {
  const variant = variants[name];
  if (variant === undefined) throw new Error(`configs.json has no variant ${name}`);
  const upstreams = (variant.upstreams ?? []).map(({ zone }) => new Upstream(zone));
  for (const [i, { address }] of (variant.upstreams ?? []).entries()) {
    await upstreams[i]!.listen(Number(address.split(":")[1]));
  }
  if (flags["no-setup"] !== true) await setUp(name, target, variant.token);
  const ids = await queryIds(target, variant.token);
  // A record of the server itself names its RPC port, 3 above the HTTP port of the set-up.
  const serverPort = String(Number(new URL(target.http).port) + 3);
  for (const one of (cases as unknown as DnsCase[]).filter(({ config }) => config === name)) {
    const text = JSON.stringify(one).replaceAll("${server_port}", serverPort)
      .replace(/\$\{query:([^}]+)\}/g, (_, query) => ids.get(query) ?? "missing");
    const problem = await checkCase(
      JSON.parse(text) as DnsCase,
      (query) => askServer(target.host, target.port, query),
    );
    if (problem === undefined) passed++;
    else failed++;
    if (problem !== undefined) console.log(`FAIL ${one.name}: ${problem}`);
    else if (flags.verbose === true) console.log(`ok   ${one.name}`);
  }
  for (const upstream of upstreams) upstream.close();
}

async function setUp(name: string, target: Target, token?: string): Promise<void> {
  let refused = 0;
  for (const request of setup as SetupRequest[]) {
    const { method, path, body, only, not, once } = request;
    if (only !== undefined && !only.includes(name) || not?.includes(name) === true) continue;
    if (once !== undefined && (await names(target, once, token)).includes(body.Name!)) continue;
    let status = 0;
    for (let attempt = 0; attempt < 20 && status !== 200; attempt++) {
      if (attempt > 0) await Bun.sleep(250);
      ({ status } = await call(target, method, path, token, body));
      if (status >= 400 && status !== 500) break;
    }
    if (status === 200) continue;
    refused++;
    console.log(`set-up: ${method} ${path} ${body.Name ?? ""}: ${status}`);
  }
  if (refused > 0) console.log(`${refused} requests of the set-up were refused`);
}

async function names(target: Target, path: string, token?: string): Promise<string[]> {
  const { status, text } = await call(target, "GET", path, token);
  return status === 200 ? (JSON.parse(text) ?? []).map((row: { Name: string }) => row.Name) : [];
}

async function queryIds(target: Target, token?: string): Promise<Map<string, string>> {
  const { status, text } = await call(target, "GET", "/v1/query", token);
  const rows: { Name: string; ID: string }[] = status === 200 ? JSON.parse(text) ?? [] : [];
  return new Map(rows.map(({ Name, ID }) => [Name, ID]));
}

async function call(
  target: Target,
  method: string,
  path: string,
  token?: string,
  body?: unknown,
): Promise<{ status: number; text: string }> {
  const headers: Record<string, string> = token === undefined ? {} : { "X-Consul-Token": token };
  const response = await fetch(target.http + path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return { status: response.status, text: await response.text() };
}
