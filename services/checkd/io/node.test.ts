// checkd whole, with real sockets and files, against a stand-in for the state and for gossipd.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Command, Outcome } from "#proto/messages.js";
import { Agent as AgentService, Gossip, State } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import { BusServer } from "#shared/bus/server.ts";
import type { Identity } from "#shared/bus/types.ts";
import { errorCodes } from "#shared/errors.ts";
import { openLog } from "#shared/log.ts";
import { systemClock } from "#shared/machine.ts";
import { Metrics } from "#shared/metrics.ts";
import { agentHandlers } from "../bus.ts";
import { CatalogModel } from "../core/simulated-node.ts";
import { type NodeParts, openNode } from "./node.ts";
import {
  checkMessage,
  checkRow,
  nodeMessage,
  nodeRow,
  serviceMessage,
  serviceRow,
} from "./rows.ts";

const identity: Identity = {
  daemon: "test",
  release: "0.1.0",
  nodeId: "11111111-2222-3333-4444-555555555555",
  node: "n1",
  datacenter: "dc1",
};

let dir: string;
let catalog: CatalogModel;
let beats: number;
const closing: (() => void | Promise<void>)[] = [];
/** Called at each write that reaches the catalog. */
let onApply: () => void;

beforeEach(() => {
  dir = mkdtempSync("/tmp/curia-checkd-");
  catalog = new CatalogModel();
  beats = 0;
  onApply = () => {};
});

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  rmSync(dir, { recursive: true });
});

function outcomeOf(command: Command): Partial<Outcome> {
  if (command.batch !== null && command.batch !== undefined) {
    return { batch: command.batch.commands.map(outcomeOf) as Outcome[] };
  }
  const { register, deregister } = command;
  const refusal = register
    ? catalog.apply({
      command: {
        kind: "register",
        node: nodeRow(register.node!),
        service: register.service === null ? null : serviceRow(register.service),
        checks: register.checks.map(checkRow),
        skipNodeUpdate: register.skipNodeUpdate,
      },
      rows: [],
    })
    : deregister!.serviceId !== ""
    ? catalog.apply({
      command: { kind: "deregister-service", serviceId: deregister!.serviceId },
      rows: [],
    })
    : catalog.apply({
      command: { kind: "deregister-check", checkId: deregister!.checkId },
      rows: [],
    });
  onApply();
  return refusal === null ? {} : { errorCode: errorCodes[refusal.code], error: refusal.text };
}

async function startState(): Promise<BusServer> {
  const server = new BusServer({ identity: { ...identity, daemon: "raftd" } });
  server.serve(State, {
    apply: (command) => outcomeOf(command),
    read: () => ({
      meta: { index: 1 },
      nodes: catalog.node === null ? [] : [nodeMessage(catalog.node)],
      nodeServices: [...catalog.services.values()].map(serviceMessage),
      checks: [...catalog.checks.values()].map((row) => checkMessage(row, "n1")),
    }),
  });
  await server.listen({ path: join(dir, "state.sock") });
  closing.push(() => server.stop(0));
  return server;
}

async function startGossip(): Promise<void> {
  const server = new BusServer({ identity: { ...identity, daemon: "gossipd" } });
  server.serve(Gossip, {
    async checkerAlive(items) {
      for await (const _ of items) beats++;
      return {};
    },
    watchMembers(_request, _call, stream) {
      stream.write({ kind: "view-complete" });
    },
  });
  await server.listen({ path: join(dir, "gossipd.sock") });
  closing.push(() => server.stop(0));
}

function clientOf(name: string): BusClient {
  const path = join(dir, `${name}.sock`);
  const client = new BusClient({
    addresses: [{ path }],
    daemon: name,
    identity,
    backoffMs: { first: 5, most: 20 },
  });
  closing.push(() => client.close());
  return client;
}

const noTokens = {
  initialManagement: "",
  default: "",
  agent: "",
  agentRecovery: "",
  replication: "",
  configFileServiceRegistration: "",
  dns: "",
};

function configuration(change: Partial<NodeParts["config"]> = {}): NodeParts["config"] {
  const config = {
    hash: "",
    dataDir: join(dir, "data"),
    runDir: dir,
    server: true,
    node: {
      id: identity.nodeId,
      name: "n1",
      meta: {},
      datacenter: "dc1",
      locality: null,
      consulVersion: "1.21.0",
    },
    addresses: { advertise: "127.0.0.1", tagged: { lan: "127.0.0.1" } },
    ports: { sidecarMin: 21000, sidecarMax: 21255 },
    checks: {
      updateIntervalMs: 300_000,
      outputMaxSize: 4096,
      discardOutput: false,
      enableRemoteScripts: false,
      enableLocalScripts: true,
      aeIntervalMs: 60_000,
      deregisterIntervalMinMs: 60_000,
      reapIntervalMs: 30_000,
      enableAgentTlsForChecks: false,
    },
    services: [],
    checkDefinitions: [],
    acl: { tokens: noTokens },
    checkdAbsenceTimeoutMs: 30_000,
    ...change,
  };
  return config as unknown as NodeParts["config"];
}

/** Starts checkd; `stop` ends it as a kill does, without a word to anyone. */
async function startCheckd(change: Partial<NodeParts["config"]> = {}) {
  const { log } = openLog({ daemon: "checkd", node: "n1", level: "silent", write: () => {} });
  const state = clientOf("state");
  const gossip = clientOf("gossipd");
  const node = openNode({
    config: configuration(change),
    state,
    gossip,
    log,
    metrics: new Metrics(),
    clock: systemClock,
  });
  const server = new BusServer({ identity: { ...identity, daemon: "checkd" } });
  server.serve(AgentService, agentHandlers(node.agent, node.loop));
  await server.listen({ path: join(dir, "checkd.sock") });
  node.start();
  const stop = async () => {
    node.stop();
    await server.stop(0);
    state.close();
    gossip.close();
  };
  closing.push(stop);
  return { node, stop, agent: clientOf("checkd").of(AgentService) };
}

/** Resolves when the condition holds; looks at each write to the catalog. */
function applied(holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (holds()) resolve();
    };
    onApply = look;
    look();
  });
}

describe("checkd", () => {
  test("a registration is on disk and in the catalog when it is answered", async () => {
    await startState();
    const { agent } = await startCheckd();
    await agent.registerService({
      service: { service: "web", port: 80, weights: { passing: 1, warning: 1 } },
      checks: [{ ttlNs: 60e9 }],
    });
    expect(catalog.services.get("web")?.port).toBe(80);
    expect(catalog.checks.get("service:web")?.status).toBe("critical");
    expect(catalog.node?.meta["consul-version"]).toBe("1.21.0");
    expect(readdirSync(join(dir, "data/services")).length).toBe(1);
    expect(readdirSync(join(dir, "data/checks")).length).toBe(2);
    await agent.updateTtlCheck({ checkId: "service:web", status: "passing", output: "ok" });
    expect(catalog.checks.get("service:web")).toMatchObject({ status: "passing", output: "ok" });
    const { checks } = await agent.listChecks({});
    expect(checks[0]).toMatchObject({ inSync: true, check: { node: "n1", type: "ttl" } });
    await agent.deregisterService({ id: "web" });
    expect(catalog.services.size + catalog.checks.size).toBe(0);
    expect(readdirSync(join(dir, "data/services"))).toEqual([]);
  });

  test("refusals keep their code and Consul's text", async () => {
    await startState();
    const { agent } = await startCheckd();
    const failure = (promise: Promise<unknown>) => promise.then(() => undefined, (error) => error);
    expect(await failure(agent.deregisterService({ id: "x" }))).toMatchObject({
      code: "not-found",
      message:
        'Unknown service ID "x". Ensure that the service ID is passed, not the service name.',
    });
    expect(await failure(agent.registerCheck({ check: { name: "x" } }))).toMatchObject({
      code: "invalid-argument",
      message: "Invalid check: TTL must be > 0 for TTL checks",
    });
    expect(await failure(agent.registerService({}))).toMatchObject({
      code: "invalid-argument",
      message: "Missing service name",
    });
  });

  test("registrations, TTL states and results survive a restart", async () => {
    await startState();
    let isHealthy = true;
    const web = createServer((_, response) => response.writeHead(isHealthy ? 200 : 500).end("hi"));
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", () => resolve()));
    closing.push(() => void web.close());
    const http = `http://127.0.0.1:${(web.address() as AddressInfo).port}/`;
    const first = await startCheckd();
    await first.agent.registerService({
      service: { service: "web", tags: ["a"] },
      checks: [{ id: "h", http, intervalNs: 1e9 }, { id: "t", ttlNs: 60e9 }],
      sidecar: { service: { port: 21999 } },
    });
    await first.agent.updateTtlCheck({ checkId: "t", status: "warning", output: "note" });
    await first.agent.setMaintenance({ serviceId: "", enable: true, reason: "why" });
    await applied(() => catalog.checks.get("h")?.status === "passing");
    await first.stop();
    const statuses: string[] = [];
    onApply = () => statuses.push(catalog.checks.get("h")!.status);
    const second = await startCheckd();
    const { services } = await second.agent.listServices({});
    expect(services.map(({ service, sidecar }) => [service!.id, sidecar])).toEqual(
      expect.arrayContaining([["web", false], ["web-sidecar-proxy", true]]),
    );
    await second.agent.syncNow({});
    expect(catalog.checks.get("t")).toMatchObject({ status: "warning", output: "note" });
    expect(catalog.checks.get("_node_maintenance")?.notes).toBe("why");
    expect(statuses).not.toContain("critical");
    isHealthy = false;
    await applied(() => catalog.checks.get("h")?.status === "critical");
    expect(catalog.checks.get("h")!.output).toBe(
      `HTTP GET ${http}: 500 Internal Server Error Output: hi`,
    );
  });

  test("works while the state is away, and pushes when it is back", async () => {
    const { agent, node } = await startCheckd();
    const startMs = performance.now();
    const registered = agent.registerService({ service: { service: "web" } }, {
      timeoutMs: 20_000,
    });
    await registered;
    expect(performance.now() - startMs).toBeLessThan(4_000);
    expect((await agent.listServices({})).services[0]!.inSync).toBe(false);
    await startState();
    await applied(() => catalog.services.has("web"));
    await node.loop.settled(1000);
    expect((await agent.listServices({})).services[0]!.inSync).toBe(true);
  }, 15_000);

  test("configuration declares services, wins over the disk, and is reloaded", async () => {
    await startState();
    const before = await startCheckd();
    await before.agent.registerService({ service: { service: "cfg", port: 1 } });
    await before.stop();
    const definition = {
      id: "cfg",
      name: "cfg",
      kind: "",
      tags: [],
      address: "",
      port: 2,
      socketPath: "",
      taggedAddresses: {},
      meta: {},
      weights: { passing: 1, warning: 1 },
      enableTagOverride: false,
      token: "",
      checks: [],
      locality: null,
      proxy: null,
      connect: { native: false, sidecarService: { Port: 21555 } },
    };
    const { agent, node } = await startCheckd({ services: [definition] });
    await agent.syncNow({});
    expect(catalog.services.get("cfg")?.port).toBe(2);
    expect(catalog.services.get("cfg-sidecar-proxy")?.port).toBe(21555);
    // Its file goes beside the work: what is checked is that it goes.
    while (readdirSync(join(dir, "data/services")).length > 0) await Bun.sleep(5);
    const other = { ...definition, id: "new", name: "new", connect: null };
    node.reload(configuration({ services: [other] }));
    await node.loop.settled(1000);
    expect([...catalog.services.keys()]).toEqual(["new"]);
  });

  test("a kept check that may not run any more is dropped, the rest comes back", async () => {
    await startState();
    const allowed = configuration().checks;
    const before = await startCheckd({ checks: { ...allowed, enableRemoteScripts: true } });
    await before.agent.registerService({ service: { service: "web" } });
    const script = { name: "s", scriptArgs: ["true"], intervalNs: 60e9 };
    await before.agent.registerCheck({ check: script });
    await before.agent.registerCheck({ check: { name: "t", ttlNs: 60e9, serviceId: "web" } });
    await before.stop();
    const { agent } = await startCheckd();
    await agent.syncNow({});
    const { checks } = await agent.listChecks({});
    expect(checks.map(({ check }) => check!.checkId)).toEqual(["t"]);
    expect([...catalog.checks.keys()]).toEqual(["t"]);
    expect(catalog.services.has("web")).toBe(true);
  });

  test("tells gossipd that it lives, and whoever waits of changes", async () => {
    await startState();
    await startGossip();
    const { agent } = await startCheckd();
    const { version } = await agent.listServices({});
    const changed = agent.waitChange({ version }, { timeoutMs: 5000 });
    await agent.registerService({ service: { service: "web" } });
    expect((await changed).version).toBeGreaterThan(version);
    while (beats === 0) await agent.listChecks({});
    expect(beats).toBeGreaterThan(0);
  });
});
