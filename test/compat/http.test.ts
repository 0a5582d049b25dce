// The recordings of Consul's HTTP answers, replayed against a node of real processes.

import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { loopbackNet, TestNode } from "../e2e/node.ts";
import { replayHttp } from "./http.ts";

setDefaultTimeout(180_000);

let node: TestNode;
beforeAll(async () => {
  const config = { enable_script_checks: true, ports: { grpc: -1, grpc_tls: -1 } };
  node = new TestNode({ name: "recorded", address: loopbackNet()(1), bootstrapExpect: 1, config });
  await node.start().ready();
});
afterAll(() => node.remove());

const whole = [
  "kv",
  "kv-blocking",
  "status",
  "catalog",
  "operator",
  "consistency",
  "health",
  "filter",
  "agent-checks",
  "agent-misc",
  "agent-services",
  "session-lock",
  "txn",
  "event",
  "coordinate",
  "conventions-and-errors",
];

test.each(whole)("%s is answered as Consul answered it", async (file) => {
  const reports = await replayHttp({ url: node.http, files: [file] });
  expect(reports.length).toBeGreaterThan(5);
  const failed = reports.filter(({ differences }) => differences.length > 0)
    .map(({ step, differences }) => `${step}: ${differences.join("; ")}`);
  expect(failed).toEqual([]);
});
