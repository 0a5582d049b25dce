// Connections that break: what is sent again, where, and that a write is applied once.

import { afterEach, describe, expect, test } from "bun:test";
import { Gossip, Raft, State } from "#proto/services.ts";
import { join } from "node:path";
import { errorCodes } from "../errors.ts";
import { failureOf, Fixture } from "./fixture.ts";
import { Sequencer, Sequencers } from "./resend.ts";
import type { BusServer } from "./server.ts";
import type { CallContext } from "./types.ts";

const fixture = new Fixture();
afterEach(() => fixture.close());

describe("numbers of writes", () => {
  test("rise, and the floor is the lowest without an answer", () => {
    const sequencer = new Sequencer("c");
    const numbers = [1, 2, 3, 4].map(() => {
      const context: Partial<CallContext> = {};
      sequencer.assign(context as never);
      return [context.client, context.sequence, context.floor];
    });
    expect(numbers).toEqual([["c", 1, 1], ["c", 2, 1], ["c", 3, 1], ["c", 4, 1]]);
    sequencer.finish(2, true);
    sequencer.finish(3, true);
    expect(sequencer.floor).toBe(1);
    sequencer.finish(1, true);
    expect(sequencer.floor).toBe(4);
    sequencer.finish(4, false);
    expect(sequencer.floor).toBe(5);
  });

  test("keep the floor at 1 until the state has answered one", () => {
    const sequencer = new Sequencer("c");
    for (const sequence of [1, 2, 3]) {
      expect(sequencer.assign({})).toBe(sequence);
      sequencer.finish(sequence, false);
      expect(sequencer.floor).toBe(1);
    }
    sequencer.assign({});
    sequencer.finish(4, true);
    expect(sequencer.floor).toBe(5);
  });

  test("are another client's for each datacenter, and after the state forgot one", () => {
    let made = 0;
    const sequencers = new Sequencers(() => `c${++made}`);
    const own = sequencers.for("");
    expect(own.client).toBe("c1");
    expect(sequencers.for("dc2").client).toBe("c2");
    sequencers.drop(own);
    expect(sequencers.for("").client).toBe("c3");
    expect(sequencers.for("dc2").client).toBe("c2");
  });
});

/** Serves, then breaks every connection once the handler was entered for the first time. */
async function breakingServer(
  path: string,
  serve: (server: BusServer, isFirst: () => boolean) => void,
): Promise<() => Promise<void>> {
  let entered = 0;
  let server: BusServer | undefined;
  const open = async () => {
    server = await fixture.server(path, (bus) => serve(bus, () => entered++ === 0));
  };
  await open();
  return async () => {
    await server!.stop(0);
    await open();
  };
}

describe("a call whose connection breaks", () => {
  test("is sent again when that is safe", async () => {
    const path = fixture.path();
    const entered = Promise.withResolvers<void>();
    const restart = await breakingServer(path, (server, isFirst) =>
      server.serve(Raft, {
        leader() {
          if (!isFirst()) return { address: "second" };
          entered.resolve();
          return new Promise(() => {});
        },
      }));
    const client = fixture.client(path);
    const answer = client.of(Raft).leader({});
    await entered.promise;
    await restart();
    expect((await answer).address).toBe("second");
    expect(client.counts.resends).toBe(1);
  });

  test("carries the same number again when it is a write", async () => {
    const path = fixture.path();
    const contexts: CallContext[] = [];
    const entered = Promise.withResolvers<void>();
    const restart = await breakingServer(path, (server, isFirst) =>
      server.serve(State, {
        apply(_command, { context }) {
          contexts.push(context);
          if (!isFirst()) return { ok: true };
          entered.resolve();
          return new Promise(() => {});
        },
      }));
    const sequencers = new Sequencers(() => "this-process");
    const state = fixture.client(path, { sequencers }).of(State);
    const answer = state.apply({ kv: {} });
    await entered.promise;
    await restart();
    expect((await answer).ok).toBe(true);
    expect(contexts.map(({ client, sequence, floor }) => ({ client, sequence, floor }))).toEqual([
      { client: "this-process", sequence: 1, floor: 1 },
      { client: "this-process", sequence: 1, floor: 1 },
    ]);
    expect(sequencers.for("").floor).toBe(2);
  });

  test("keeps its outcome when the state forgot the client meanwhile", async () => {
    const path = fixture.path();
    const entered = Promise.withResolvers<void>();
    const restart = await breakingServer(path, (server, isFirst) =>
      server.serve(State, {
        apply() {
          if (!isFirst()) return { errorCode: errorCodes["outcome-unknown"], error: "forgotten" };
          entered.resolve();
          return new Promise(() => {});
        },
      }));
    const answer = fixture.client(path).of(State).apply({ kv: {} });
    await entered.promise;
    await restart();
    expect((await answer).error).toBe("forgotten");
  });

  test("fails as unavailable when nothing says that it may be sent twice", async () => {
    const path = fixture.path();
    const entered = Promise.withResolvers<void>();
    let calls = 0;
    const restart = await breakingServer(path, (server) =>
      server.serve(Gossip, {
        join() {
          calls++;
          entered.resolve();
          return new Promise(() => {});
        },
      }));
    const answer = failureOf(fixture.client(path).of(Gossip).join({}));
    await entered.promise;
    await restart();
    expect(await answer).toMatchObject({
      code: "unavailable",
      message: "The connection to callee broke",
    });
    expect(calls).toBe(1);
  });

  test("does not outlive its deadline", async () => {
    const path = fixture.path();
    const entered = Promise.withResolvers<void>();
    const server = await fixture.server(path, (bus) =>
      bus.serve(Raft, {
        leader() {
          entered.resolve();
          return new Promise(() => {});
        },
      }));
    const answer = failureOf(fixture.client(path).of(Raft).leader({}, { timeoutMs: 200 }));
    await entered.promise;
    await server.stop(0);
    expect((await answer).code).toBe("deadline-exceeded");
  });
});

describe("a write to a state that forgot its client", () => {
  test("is sent again as a new client's, and applied once", async () => {
    const path = fixture.path();
    const known = new Set<string>();
    const applied: string[] = [];
    await fixture.server(path, (server) =>
      server.serve(State, {
        apply(_command, { context: { client, sequence, floor } }) {
          // The rule of raftd's state: a floor above 1 shows that there was a row once.
          if (!known.has(client) && floor > 1) return { errorCode: errorCodes["outcome-unknown"] };
          known.add(client);
          applied.push(`${client}/${sequence}`);
          return { ok: true };
        },
      }));
    let made = 0;
    const sequencers = new Sequencers(() => `c${++made}`);
    const state = fixture.client(path, { sequencers }).of(State);
    for (let i = 0; i < 3; i++) expect((await state.apply({ kv: {} })).ok).toBe(true);
    known.clear();
    const outcomes = await Promise.all([1, 2, 3].map(() => state.apply({ kv: {} })));
    expect(outcomes.map((outcome) => outcome.ok)).toEqual([true, true, true]);
    expect(applied).toEqual(["c1/1", "c1/2", "c1/3", "c2/1", "c2/2", "c2/3"]);
  });
});

describe("a callee that is not there", () => {
  test("is waited for until the deadline, then the call says what was tried", async () => {
    const path = fixture.path();
    const failure = await failureOf(fixture.client(path).of(Raft).leader({}, { timeoutMs: 40 }));
    expect(failure.code).toBe("unavailable");
    expect(failure.message).toContain(`Cannot reach callee: Cannot connect to ${path}`);
  });

  test("gets the calls that waited when it comes", async () => {
    const path = fixture.path();
    const client = fixture.client(path);
    const answers = Array.from({ length: 50 }, () => client.of(Raft).leader({}));
    await fixture.server(
      path,
      (server) => server.serve(Raft, { leader: () => ({ address: "a" }) }),
    );
    for (const answer of await Promise.all(answers)) expect(answer.address).toBe("a");
  });

  test("fails calls at once when the client does not wait", async () => {
    const client = fixture.client(fixture.path(), { waits: false });
    expect((await failureOf(client.of(Raft).leader({}))).code).toBe("unavailable");
  });
});

describe("several addresses", () => {
  const leader = (address: string) => (server: BusServer) =>
    server.serve(Raft, { leader: () => ({ address }) });

  test("serve in order: the second while the first is away, the first as soon as it is back", async () => {
    const dir = fixture.dir();
    const [first, second] = [join(dir, "1.sock"), join(dir, "2.sock")];
    const primary = await fixture.server(first, leader("first"));
    await fixture.server(second, leader("second"));
    const client = fixture.client("", { addresses: [{ path: first }, { path: second }] });
    const ask = async () => (await client.of(Raft).leader({})).address;
    expect(await ask()).toBe("first");
    await primary.stop(0);
    expect(await ask()).toBe("second");
    const returned = new Promise<void>((resolve) => client.onConnected = resolve);
    await fixture.server(first, leader("first again"));
    await returned;
    expect(await ask()).toBe("first again");
    expect(client.isConnected).toBe(true);
  });

  test("let a call under way finish where it is, and move streams", async () => {
    const dir = fixture.dir();
    const [first, second] = [join(dir, "1.sock"), join(dir, "2.sock")];
    const release = Promise.withResolvers<{ address: string }>();
    const entered = Promise.withResolvers<void>();
    await fixture.server(second, (server) => {
      server.serve(Raft, {
        leader() {
          entered.resolve();
          return release.promise;
        },
      });
      server.serve(State, { subscribe() {} });
    });
    const client = fixture.client("", { addresses: [{ path: first }, { path: second }] });
    const answer = client.of(Raft).leader({});
    const stream = client.of(State).subscribe({});
    const moved = new Promise<string>((resolve) => stream.onError = (e) => resolve(e.message));
    await entered.promise;
    await fixture.server(first, leader("first"));
    expect(await moved).toBe("callee is back: streams move to it");
    expect((await client.of(Raft).leader({})).address).toBe("first");
    release.resolve({ address: "second" });
    expect((await answer).address).toBe("second");
  });
});
