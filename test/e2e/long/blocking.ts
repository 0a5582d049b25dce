// A blocking query of Consul's default wait: 300 s, and up to a sixteenth more.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { Cluster } from "../cluster.ts";
import { talk } from "../raw.ts";

const cluster = new Cluster({ servers: 1, clients: 1 });
beforeAll(() => cluster.start(), 120_000);
afterAll(() => cluster.remove(), 60_000);

test("a blocking query without a change returns after 300 s", async () => {
  await cluster.servers[0]!.put("/v1/kv/quiet", "as it was");
  await Promise.all(cluster.nodes.map(async (node) => {
    const response = await node.fetch("/v1/kv/quiet");
    const index = response.headers.get("X-Consul-Index");
    const startedMs = performance.now();
    const answer = await talk(
      { host: node.address, port: 8500 },
      `GET /v1/kv/quiet?raw&index=${index} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    const tookS = (performance.now() - startedMs) / 1_000;
    console.log(`${node.name}: ${tookS.toFixed(2)} s`);
    expect(answer).toStartWith("HTTP/1.1 200 OK");
    expect(answer).toMatch(new RegExp(`^x-consul-index: ${index}\\r$`, "im"));
    expect(answer).toEndWith("as it was");
    expect(tookS).toBeGreaterThanOrEqual(300);
    expect(tookS).toBeLessThan(319.75);
  }));
}, 400_000);
