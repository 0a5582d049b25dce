// A mixed pool of Debian's `serf agent` and our own nodes: everyone sees everyone, events and queries
// cross, deaths and departures are told apart, keys are rotated by either side. Needs Debian's package `serf`.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { agentCoalescing } from "../../services/gossipd/core/settings.ts";
import { Folder, OwnNode, SerfAgent, until } from "./gossip/agents.ts";

/** Gossip reaches everyone nearly always: what asks all members may have to ask again. */
async function attempts(check: () => Promise<void>): Promise<void> {
  for (let left = 4; left > 0; left--) {
    try {
      return await check();
    } catch {
      // Once more; the last one below throws.
    }
  }
  return check();
}

const text = (value: string) => new TextEncoder().encode(value);
const readable = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const k1 = Uint8Array.from({ length: 32 }, (_, i) => i);
const k2 = Uint8Array.from({ length: 32 }, (_, i) => 32 + i);

class MixedPool {
  readonly folder = new Folder();
  serfs: SerfAgent[] = [];
  owns: OwnNode[] = [];

  async start(keys?: Uint8Array[]): Promise<void> {
    const withKeys = keys ? { keys } : {};
    for (const name of ["serf-a", "serf-b", "serf-c"]) {
      const args = name === "serf-c" ? ["-event-handler=query:load=echo 0.5"] : [];
      this.serfs.push(await SerfAgent.start(name, this.folder, { ...withKeys, args }));
    }
    for (const name of ["own-a", "own-b", "own-c"]) {
      // The last one takes news together, as Serf's agent does.
      const profile = name === "own-c" ? agentCoalescing : {};
      const node = await OwnNode.start(name, { ...withKeys, profile });
      node.answer = (query, payload) =>
        query === "greet" ? text(`hi ${readable(payload)}`) : undefined;
      this.owns.push(node);
    }
    const [first, ...others] = this.serfs;
    for (const serf of others) await serf.run("join", `127.0.0.1:${first!.port}`);
    // One of ours asks a Serf agent, one is asked by it, one asks one of ours.
    await this.owns[0]!.join(first!.port);
    await first!.run("join", `127.0.0.1:${this.owns[1]!.loop.port}`);
    await this.owns[2]!.join(this.owns[1]!.loop.port);
  }

  /** Everyone who runs sees exactly these. */
  async allSee(expected: Record<string, string>, except: string[] = []): Promise<void> {
    const matches = (seen: Map<string, string>) =>
      Object.entries(expected).every(([name, status]) => seen.get(name) === status);
    for (const node of [...this.owns, ...this.serfs]) {
      if (except.includes(node.name)) continue;
      let last = new Map<string, string>();
      await until(`${node.name} sees ${JSON.stringify(expected)}`, async () => {
        last = await node.members();
        return matches(last);
      }).catch((error) => {
        throw new Error(`${error.message}; it sees ${JSON.stringify([...last])}`);
      });
    }
  }

  async stop(): Promise<void> {
    await Promise.all([...this.owns, ...this.serfs].map((node) => node.stop()));
    this.folder.remove();
  }
}

const everyone = Object.fromEntries(
  ["serf-a", "serf-b", "serf-c", "own-a", "own-b", "own-c"].map((name) => [name, "alive"]),
);

for (const [mode, keys] of [["plain", undefined], ["encrypted", [k1]]] as const) {
  describe(mode, () => {
    const pool = new MixedPool();
    beforeAll(() => pool.start(keys ? [...keys] : undefined), 180_000);
    afterAll(() => pool.stop());

    test("all see all", async () => {
      await pool.allSee(everyone);
      expect(pool.owns[0]!.loop.isEncrypted).toBe(keys !== undefined);
    }, 180_000);

    test("tags of ours reach serf, and their change too", async () => {
      expect(await pool.serfs[1]!.tags("own-a")).toEqual({ role: "curia" });
      pool.owns[0]!.step({ kind: "tags-changed", tags: new Map([["role", "curia"], ["v", "2"]]) });
      await until("the new tag", async () => (await pool.serfs[2]!.tags("own-a"))["v"] === "2");
      await until(
        "our others' view",
        () =>
          pool.owns[2]!.loop.machine.members().some((member) =>
            member.name === "own-a" && member.tags.get("v") === "2"
          ),
      );
    }, 180_000);

    test("user events cross both ways", async () => {
      await pool.serfs[0]!.run("event", "deploy", "v1");
      for (const own of pool.owns) {
        const event = await own.seen("user-event", (one) => one.name === "deploy");
        expect(readable(event.payload)).toBe("v1");
      }
      pool.owns[1]!.step({
        kind: "event-fired",
        name: "restart",
        payload: text("now"),
        coalesce: true,
      });
      for (const serf of pool.serfs) {
        await until(`${serf.name} gets the event`, () => serf.log.includes("restart"));
      }
    }, 180_000);

    test(
      "events that may be taken together are one for who coalesces, on either side",
      async () => {
        let tries = 0;
        await attempts(() => coalesced(pool, `build-${++tries}`));
        await attempts(() => coalescedBySerf(pool, `ours-${++tries}`));
        await pool.serfs[0]!.run("event", "-coalesce=false", "single", "1");
        const single = await pool.owns[2]!.seen("user-event", ({ name }) => name === "single");
        expect(single.coalesce).toBe(false);
      },
      180_000,
    );

    test("queries cross both ways, with relays", async () => {
      const asked = await pool.serfs[0]!.run(
        "query",
        "-format=json",
        "-relay-factor=2",
        "greet",
        "x",
      );
      const { Acks, Responses } = JSON.parse(asked.out);
      expect(new Set(Acks)).toEqual(new Set(Object.keys(everyone)));
      expect(Responses["own-b"]).toBe("hi x");

      let ask = 0;
      await attempts(() => askLoad(pool.owns[2]!, ++ask));
    }, 180_000);

    if (keys) rotation(pool);

    test("round trips are learnt from serf's acks, and serf learns ours", async () => {
      await until("a coordinate", () => pool.owns[0]!.loop.machine.coordinateOf("serf-a"));
      await until("serf's estimate", async () => {
        const { code, out } = await pool.serfs[0]!.run("rtt", "own-a", "serf-b");
        return code === 0 && out.includes("rtt");
      });
    }, 180_000);

    test("a killed agent is failed for ours, a killed node of ours for serf", async () => {
      pool.serfs[2]!.kill();
      await pool.owns[2]!.stop();
      await pool.allSee({ ...everyone, "serf-c": "failed", "own-c": "failed" }, [
        "serf-c",
        "own-c",
      ]);
    }, 180_000);

    test("a forced leave of a failed member is believed by both", async () => {
      pool.owns[0]!.step({ kind: "force-leave-requested", name: "serf-c", prune: false });
      await pool.serfs[0]!.run("force-leave", "own-c");
      await pool.allSee({ ...everyone, "serf-c": "left", "own-c": "left" }, ["serf-c", "own-c"]);
    }, 180_000);

    test("who leaves is left, not failed", async () => {
      await pool.serfs[1]!.run("leave");
      pool.owns[1]!.step({ kind: "leave-requested" });
      await pool.owns[1]!.seen("left");
      await pool.owns[1]!.stop();
      const gone = ["serf-c", "own-c", "serf-b", "own-b"];
      await pool.allSee({ "serf-b": "left", "own-b": "left", "serf-a": "alive" }, gone);
    }, 180_000);
  });
}

const payloadsOf = (own: OwnNode, name: string) =>
  own.effects.flatMap((one) =>
    one.kind === "user-event" && one.name === name ? [readable(one.payload)] : []
  );

async function coalesced(pool: MixedPool, name: string): Promise<void> {
  const [own, , patient] = pool.owns as [OwnNode, OwnNode, OwnNode];
  for (const payload of ["1", "2", "3"]) await pool.serfs[0]!.run("event", name, payload);
  await until("all three", () => payloadsOf(own, name).length === 3);
  await patient.seen("user-event", (one) => one.name === name && readable(one.payload) === "3");
  expect(payloadsOf(patient, name)).toEqual(["3"]);
}

/** Orders of one moment travel in one packet. */
async function coalescedBySerf(pool: MixedPool, name: string): Promise<void> {
  for (const payload of ["1", "2", "3"]) {
    const order = { kind: "event-fired", name, payload: text(payload), coalesce: true } as const;
    pool.owns[1]!.step(order);
  }
  await until("all three", () => payloadsOf(pool.owns[0]!, name).length === 3);
  for (const serf of pool.serfs) {
    const told = () => serf.log.match(new RegExp(`Received event: user-event: ${name}$`, "gm"));
    await until(`${serf.name} tells it`, told);
    expect(told()!.length).toBe(1);
  }
}

async function askLoad(own: OwnNode, ask: number): Promise<void> {
  const query = {
    name: "load",
    payload: text(""),
    filters: [],
    wantsAcks: true,
    relayFactor: 1,
    timeoutMs: 2_000,
  };
  own.step({ kind: "query-asked", ask, query });
  await own.seen("query-ended", (one) => one.ask === ask);
  const acks = own.effects.flatMap((one) =>
    one.kind === "query-acked" && one.ask === ask ? [one.from] : []
  );
  expect(acks.toSorted()).toEqual(Object.keys(everyone).toSorted());
  const answers = own.effects.flatMap((one) =>
    one.kind === "query-responded" && one.ask === ask ? [[one.from, readable(one.payload)]] : []
  );
  expect(answers).toEqual([["serf-c", "0.5\n"]]);
}

function rotation(pool: MixedPool): void {
  const primaries = () =>
    pool.owns.map((own) => own.loop.keyring!.keys.map((key) => key[0]!).join());

  test("serf rotates the key of the mixed pool", async () => {
    const run = (argument: string) =>
      attempts(async () => {
        const { code, out } = await pool.serfs[0]!.run("keys", argument);
        expect([argument, code, code === 0 ? "" : out]).toEqual([argument, 0, ""]);
      });
    await run(`-install=${k2.toBase64()}`);
    expect(primaries()).toEqual(["0,32", "0,32", "0,32"]);
    await run(`-use=${k2.toBase64()}`);
    await run(`-remove=${k1.toBase64()}`);
    expect(primaries()).toEqual(["32", "32", "32"]);
  }, 180_000);

  test("a stranger's key opens no door, and who has it learns why", async () => {
    const keys = [k1];
    const own = await OwnNode.start("stranger", { keys });
    const serf = await SerfAgent.start("foreigner", pool.folder, { keys });
    try {
      await expect(own.join(pool.serfs[0]!.port)).rejects.toThrow("no installed key opens");
      await expect(own.join(pool.owns[0]!.loop.port)).rejects.toThrow("no installed key opens");
      const { code } = await serf.run("join", `127.0.0.1:${pool.owns[0]!.loop.port}`);
      expect(code).toBe(1);
      await until("serf's log says why", () => /[Nn]o installed keys could decrypt/.test(serf.log));
      expect(pool.owns[0]!.members().has("stranger")).toBe(false);
      expect(pool.owns[0]!.members().has("foreigner")).toBe(false);
    } finally {
      await Promise.all([own.stop(), serf.stop()]);
    }
  }, 180_000);

  test("we rotate it back", async () => {
    const own = pool.owns[1]!;
    let ask = 100;
    const operate = async (operation: "install" | "use" | "remove" | "list", key?: Uint8Array) => {
      const number = ++ask;
      own.step({
        kind: "keys-asked",
        ask: number,
        operation,
        relayFactor: 0,
        ...(key ? { key } : {}),
      });
      return (await own.seen("keys-answered", (one) => one.ask === number)).outcome;
    };
    for (const [operation, key] of [["install", k1], ["use", k1], ["remove", k2]] as const) {
      await attempts(async () => {
        const { nodesCount, answersCount, errorsCount } = await operate(operation, key);
        expect([nodesCount, answersCount, errorsCount]).toEqual([6, 6, 0]);
      });
    }
    await attempts(async () => {
      const { keys, primaryKeys } = await operate("list");
      expect([...keys]).toEqual([[k1.toBase64(), 6]]);
      expect([...primaryKeys]).toEqual([[k1.toBase64(), 6]]);
    });
    await pool.allSee(everyone);
  }, 180_000);
}
