// The recordings that need an agent, against a fresh server node of this checkout. What the node
// does not answer yet as Consul does is listed here; the list may only shrink.

import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inProcess } from "./cli-in-process.ts";
import { namesOf, processRunner, replay, reportOf } from "./cli-replay.ts";
import type { Verdict } from "./cli-replay.ts";

const curia = [process.execPath, join(import.meta.dir, "../../cli/curia.ts")];
/** Commands of `events` start programs that write to the command's own streams. */
const groups = [
  { groups: ["usage", "agent", "kv", "services"], run: inProcess },
  { groups: ["events"], run: processRunner(...curia) },
  { groups: ["operator", "mesh"], run: inProcess },
];
const folder = mkdtempSync(join(tmpdir(), "curia-replay-"));
const limitMs = 300_000;
let agent: Bun.Subprocess | undefined;

afterAll(async () => {
  agent?.kill("SIGTERM");
  await agent?.exited;
  rmSync(folder, { recursive: true, force: true });
});

/** Beginnings of command lines, and what is missing behind them. */
const expectedDifferences: Record<string, string> = {
  "members -detailed": "the tag that tells Curia's servers apart",
  "info": "Consul's whole set of statistics",
  "services export": "configuration entries",
  "config ": "configuration entries",
  "exec ": "remote execution on the receiving node",
  "operator raft transfer-leader": "wording when there is nobody to take over",
  "operator autopilot state": "autopilot's state",
  "operator usage instances": "count of services",
  "snapshot save": "snapshots",
  "snapshot inspect mine.snap": "snapshots",
  "snapshot restore": "snapshots",
  "intention ": "intentions",
  "connect envoy": "Envoy",
  "connect proxy": "the built-in proxy",
  "connect ca": "changing the CA",
  "peering delete": "peering",
  "acl ": "ACLs",
  "logout": "ACLs",
};

async function startServer(): Promise<string> {
  const [http, dns, server, serfLan, serfWan] = freePorts(5);
  const config = JSON.parse(
    readFileSync(join(import.meta.dir, "fixtures/cli/server.json"), "utf8"),
  ) as Record<string, unknown>;
  mkdirSync(join(folder, "data"));
  const file = join(folder, "agent.json");
  writeFileSync(
    file,
    JSON.stringify({
      ...config,
      data_dir: join(folder, "data"),
      ports: { http, dns, server, serf_lan: serfLan, serf_wan: serfWan, grpc: -1, grpc_tls: -1 },
    }),
  );
  agent = Bun.spawn([...curia, "agent", "-config-file", file], {
    stdin: "ignore",
    stdout: Bun.file(join(folder, "log")),
    stderr: "inherit",
  });
  const address = `127.0.0.1:${http}`;
  // serfHealth in the catalog is the last thing that a fresh server gets.
  for (;;) {
    try {
      const reply = await fetch(`http://${address}/v1/health/state/passing`);
      if ((await reply.text()).includes("serfHealth")) return address;
    } catch {
      // Nobody listens yet.
    }
    await Bun.sleep(50);
  }
}

function freePorts(count: number): number[] {
  const listeners = Array.from(
    { length: count },
    () => Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }),
  );
  const ports = listeners.map(({ port }) => port);
  for (const listener of listeners) listener.stop();
  return ports;
}

test("recorded command lines against a server", async () => {
  const httpAddr = await startServer();
  const names = await namesOf(httpAddr);
  const verdicts: Verdict[] = [];
  for (const part of groups) verdicts.push(...await replay({ ...part, httpAddr, names }));
  const differing = verdicts.filter(({ problem }) => problem !== undefined);
  const unexpected = differing.filter(({ recorded }) => {
    const line = recorded.args.join(" ");
    return !Object.keys(expectedDifferences).some((start) => line.startsWith(start));
  });
  console.log(`${reportOf(verdicts).split("\n").at(-1)}`);
  expect(unexpected.map((verdict) => reportOf([verdict]))).toEqual([]);
  expect(verdicts.length - differing.length).toBeGreaterThan(250);
}, limitMs);
