// relayd whole, between real sockets: a gossipd and servers that stand in, callers that are real.

import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MemberEventInput } from "#proto/messages.js";
import { Control, Gossip, State } from "#proto/services.ts";
import { BusServer } from "#shared/bus/server.ts";
import { stateClient } from "#shared/bus/state-client.ts";
import type { Identity, OutStream } from "#shared/bus/types.ts";
import type { EffectiveConfig } from "#shared/config/types.ts";
import type { DaemonContext } from "#shared/daemon.ts";
import { openLog } from "#shared/log.ts";
import { Metrics } from "#shared/metrics.ts";
import { start } from "./main.ts";

const closing: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function identityOf(daemon: string, node: string): Identity {
  return { daemon, release: "0.1.0", nodeId: `id-${node}`, node, datacenter: "dc1" };
}

/** A server that answers reads with its own name, and holds subscriptions open. */
async function startServer(node: string) {
  const bus = new BusServer({ identity: identityOf("raftd", node) });
  const callers: string[] = [];
  bus.serve(State, {
    read(_request, call) {
      callers.push(call.caller);
      return { nodes: [{ node }] };
    },
    apply: (_command, call) => ({ index: call.context.sequence }),
    subscribe(_request, _call, stream) {
      stream.write({ changes: [{ node: { node } }], viewComplete: true });
    },
  });
  const port = await bus.listen({ host: "127.0.0.1", port: 0 });
  closing.push(() => bus.stop(0));
  const event = (kind: string): MemberEventInput => ({
    kind,
    member: {
      name: node,
      address: "127.0.0.1",
      status: kind === "failed" ? 4 : 1,
      tags: { role: "consul", curia: "1", dc: "dc1", id: `id-${node}`, port: String(port) },
    },
  });
  return { node, bus, event, callers };
}

const holdMs = 300;

/** Without `members` gossipd says nothing. */
async function startNode(members: MemberEventInput[] | undefined, isServer = false) {
  const runDir = mkdtempSync(join(tmpdir(), "curia-relayd-"));
  closing.push(() => rmSync(runDir, { recursive: true, force: true }));
  const { log } = openLog({ daemon: "relayd", node: "c1", level: "error" });
  const identity = identityOf("relayd", "c1");
  const streams: OutStream<MemberEventInput>[] = [];
  const gossip = new BusServer({ identity: identityOf("gossipd", "c1") });
  gossip.serve(Gossip, {
    watchMembers(_pool, _call, stream) {
      streams.push(stream);
      if (members === undefined) return;
      for (const member of members) stream.write(member);
      stream.write({ kind: "view-complete" });
    },
  });
  await gossip.listen({ path: join(runDir, "gossipd.sock") });
  closing.push(() => gossip.stop(0));
  const raft = { rpcHoldTimeoutMs: holdMs };
  const config = { runDir, server: isServer, raft } as EffectiveConfig;
  const bus = new BusServer({ identity });
  const daemon = await start(
    {
      name: "relayd",
      instance: 1,
      config,
      identity,
      log,
      metrics: new Metrics(),
      bus,
      fail(error) {
        throw error;
      },
    } satisfies DaemonContext,
  );
  await bus.listen({ path: join(runDir, "relayd.sock") });
  closing.push(async () => {
    await bus.stop(0);
    await daemon.stop();
  });
  const client = stateClient({ config, identity: identityOf("apid", "c1"), log });
  closing.push(() => client.close());
  return {
    client,
    daemon,
    runDir,
    tell: (event: MemberEventInput) => streams.at(-1)!.write(event),
  };
}

const query = { query: { nodes: {} } };

describe("relayd on a client node", () => {
  test("passes calls to a server, as a client node's", async () => {
    const server = await startServer("s1");
    const { client, daemon } = await startNode([server.event("view")]);
    const reply = await client.of(State).read(query);
    expect(reply.nodes[0]!.node).toBe("s1");
    expect(server.callers).toEqual(["client"]);
    expect(daemon.ready()).toBeUndefined();
    expect(daemon.details()).toEqual({ servers: "dc1=1", links: "1" });
  });

  test("keeps the number of a write that its caller gave", async () => {
    const server = await startServer("s1");
    const { client } = await startNode([server.event("view")]);
    const options = { context: { client: "apid-1", sequence: 42, floor: 40 } };
    expect((await client.of(State).apply({ kv: {} }, options)).index).toBe(42);
  });

  test("moves to another server when one dies, without an error to the caller", async () => {
    const servers = [await startServer("s1"), await startServer("s2")];
    const { client } = await startNode(servers.map((server) => server.event("view")));
    const first = (await client.of(State).read(query)).nodes[0]!.node;
    await servers.find((server) => server.node === first)!.bus.stop(0);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => client.of(State).read(query)),
    );
    const other = first === "s1" ? "s2" : "s1";
    expect(new Set(answers.map((answer) => answer.nodes[0]!.node))).toEqual(new Set([other]));
  });

  test("tells a stream that its server is gone, and gives it another", async () => {
    const servers = [await startServer("s1"), await startServer("s2")];
    const { client } = await startNode(servers.map((server) => server.event("view")));
    const seen: string[] = [];
    const stream = client.of(State).subscribe({ topics: ["catalog"] });
    const failure = await new Promise<string>((resolve) => {
      stream.onItem = (batch) => {
        seen.push(batch.changes[0]!.node!.node);
        void servers.find((server) => server.node === seen[0])!.bus.stop(0);
      };
      stream.onError = (error) => resolve(error.code);
    });
    expect(failure).toBe("unavailable");
    for await (const batch of client.of(State).subscribe({ topics: ["catalog"] })) {
      seen.push(batch.changes[0]!.node!.node);
      break;
    }
    expect(seen.sort()).toEqual(["s1", "s2"]);
  });

  test("says no-servers when members are known and none is a server", async () => {
    const server = await startServer("s1");
    const { client, daemon, tell } = await startNode([]);
    const failure = await client.of(State).read(query).catch((error) => error);
    expect(failure).toMatchObject({ code: "no-servers", message: "No known Consul servers" });
    expect(daemon.ready()).toBe("no server is known");
    tell(server.event("join"));
    // The member's news and the call come by different ways: ask until it has arrived.
    const ask = (): Promise<string> =>
      client.of(State).read(query).then((reply) => reply.nodes[0]!.node, () => ask());
    expect(await ask()).toBe("s1");
  });
});

describe("relayd on a server node", () => {
  test("leads to a fellow server while raftd is away, and leaves off when it is back", async () => {
    const fellow = await startServer("s2");
    const { client, runDir } = await startNode([fellow.event("view")], true);
    expect((await client.of(State).read(query)).nodes[0]!.node).toBe("s2");
    const raftd = new BusServer({ identity: identityOf("raftd", "c1") });
    raftd.serve(State, { read: () => ({ nodes: [{ node: "own" }] }) });
    const back = new Promise<void>((resolve) => client.onConnected = resolve);
    await raftd.listen({ path: join(runDir, "state.sock") });
    closing.push(() => raftd.stop(0));
    await back;
    expect((await client.of(State).read(query)).nodes[0]!.node).toBe("own");
  });

  test.each([
    ["is the only server", []],
    ["starts before gossipd tells", undefined],
  ])("holds calls for its raftd when that %s", async (_, members) => {
    const { client, runDir } = await startNode(members, true);
    const answer = client.of(State).read(query);
    await client.of(Control).status({}).catch(() => {});
    const raftd = new BusServer({ identity: identityOf("raftd", "c1") });
    raftd.serve(State, { read: () => ({ nodes: [{ node: "own" }] }) });
    await raftd.listen({ path: join(runDir, "state.sock") });
    closing.push(() => raftd.stop(0));
    expect((await answer).nodes[0]!.node).toBe("own");
  });

  test("says that there is no leader once it has held a call for long enough", async () => {
    for (const members of [[], undefined]) {
      const { client } = await startNode(members, true);
      const startedMs = performance.now();
      const failure = await client.of(State).read(query).catch((error) => error);
      expect(failure).toMatchObject({ code: "no-leader", message: "No cluster leader" });
      expect(performance.now() - startedMs).toBeGreaterThanOrEqual(holdMs - 1);
    }
  });

  test("may be away with its raftd: then there is no leader either", async () => {
    const runDir = mkdtempSync(join(tmpdir(), "curia-relayd-"));
    closing.push(() => rmSync(runDir, { recursive: true, force: true }));
    const { log } = openLog({ daemon: "apid", node: "c1", level: "error" });
    const config = { runDir, server: true };
    const client = stateClient({ config, identity: identityOf("apid", "c1"), log });
    closing.push(() => client.close());
    const failure = await client.of(State).read(query, { timeoutMs: 50 }).catch((error) => error);
    expect(failure.code).toBe("no-leader");
  });
});
