// Two or three pools on real loopback sockets, with LAN timings made short.
import { afterEach, expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import { parseAddress } from "../core/address.ts";
import { Keyring } from "../core/keyring.ts";
import { consulVersions, lanProfile } from "../core/settings.ts";
import { type LoopOptions, type OutsideEffect, PoolLoop } from "./loop.ts";

const open: PoolLoop[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((loop) => loop.stop()));
});

class Node {
  readonly effects: OutsideEffect[] = [];
  loop!: PoolLoop;
  #wake: (() => void) | undefined;

  static async open(
    name: string,
    options: Partial<LoopOptions> & { host?: string } = {},
  ): Promise<Node> {
    const node = new Node();
    const host = options.host ?? "127.0.0.1";
    node.loop = await PoolLoop.open({
      settings: {
        ...lanProfile,
        gossipIntervalMs: 20,
        probeIntervalMs: 100,
        probeTimeoutMs: 50,
        tcpTimeoutMs: 1_000,
        leavePropagateDelayMs: 50,
        name,
        address: parseAddress(host)!,
        port: 0,
        tags: new Map(),
        versions: consulVersions,
        admission: { kind: "open" },
        resolveConflicts: true,
      },
      bindAddress: host,
      bindPort: 0,
      random: new Random(name.charCodeAt(0)),
      outside: (effect) => {
        node.effects.push(effect);
        node.#wake?.();
      },
      ...options,
    });
    open.push(node.loop);
    return node;
  }

  /** Waits for an effect; earlier ones count. */
  async seen<K extends OutsideEffect["kind"]>(
    kind: K,
    fits: (effect: Extract<OutsideEffect, { kind: K }>) => boolean = () => true,
  ): Promise<Extract<OutsideEffect, { kind: K }>> {
    while (true) {
      for (const effect of this.effects) {
        const typed = effect as Extract<OutsideEffect, { kind: K }>;
        if (effect.kind === kind && fits(typed)) return typed;
      }
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  async join(other: Node, host = "127.0.0.1") {
    const peer = { address: parseAddress(host)!, port: other.loop.port };
    this.loop.step({ kind: "join-requested", join: 1, peers: [peer] });
    return await this.seen("joined");
  }
}

const key = (fill: number) => new Keyring([new Uint8Array(32).fill(fill)]);

test("two nodes over IPv6", async () => {
  const [a, b] = [await Node.open("a", { host: "::1" }), await Node.open("b", { host: "::1" })];
  expect((await b.join(a, "::1")).contactedCount).toBe(1);
  await a.seen("report", (one) => one.member.name === "b");
  b.loop.step({ kind: "leave-requested" });
  await b.seen("left");
  await a.seen("report", (one) => one.change === "left");
}, 10_000);

test("a node that is reached at another address than it binds is known by that one", async () => {
  const a = await Node.open("a");
  const b = await Node.open("b", { host: "127.77.0.1", bindAddress: "0.0.0.0" });
  expect((await b.join(a)).contactedCount).toBe(1);
  const { member } = await a.seen("report", (one) => one.member.name === "b");
  expect([[...member.address], member.port]).toEqual([[127, 77, 0, 1], b.loop.port]);
  // Probes of it go there, and its own are answered to there.
  const { counters } = b.loop.machine;
  while ((counters.get("received ping") ?? 0) < 3 || (counters.get("received ackResp") ?? 0) < 3) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  expect(b.loop.machine.members().map(({ status }) => status)).toEqual(["alive", "alive"]);
}, 20_000);

test("a stranger's key, and none at all, do not get in", async () => {
  const a = await Node.open("a", { keyring: key(1) });
  const stranger = await Node.open("s", { keyring: key(2) });
  const naked = await Node.open("n");
  for (const other of [stranger, naked]) {
    const { contactedCount, errors } = await other.join(a);
    expect([contactedCount, errors.length]).toEqual([0, 1]);
    const reason = other === stranger ? "no installed key opens" : "encryption is not configured";
    expect(errors[0]).toContain(reason);
  }
  expect(naked.effects.find((effect) => effect.kind === "joined")).toMatchObject({
    errors: [expect.stringContaining("Failed to join")],
  });
  expect(a.loop.machine.members().length).toBe(1);
}, 10_000);

test("a pool is moved to encryption node by node", async () => {
  // As encrypt_verify_outgoing = false, encrypt_verify_incoming = false on the way.
  const a = await Node.open("a", { keyring: key(1), refusePlain: false, sealOutgoing: false });
  const b = await Node.open("b");
  expect((await b.join(a)).contactedCount).toBe(1);
  await a.seen("report", (one) => one.member.name === "b");
  const c = await Node.open("c", { keyring: key(1), refusePlain: false, sealOutgoing: true });
  expect((await c.join(a)).contactedCount).toBe(1);
  await a.seen("report", (one) => one.member.name === "c");
}, 10_000);

test("a second node of one name loses the vote and is told", async () => {
  const [a, b, c] = [await Node.open("a"), await Node.open("b"), await Node.open("c")];
  await b.join(a);
  await c.join(a);
  await c.seen("report", (one) => one.member.name === "b");
  const twin = await Node.open("b");
  await twin.join(a);
  await twin.seen("conflict-lost");
  expect(b.effects.some((effect) => effect.kind === "conflict-lost")).toBe(false);
}, 20_000);
