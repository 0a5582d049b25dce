// Consensus, log writer and links together, over real sockets and disks, with a state that is only a
// list of what was applied.

import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LogRecord, type Outcome } from "#proto/messages.js";
import { scaledSettings } from "../core/raft/settings.ts";
import { encodeConfiguration } from "../core/raft/membership.ts";
import type { Server as Member } from "../core/raft/messages.ts";
import type { Store } from "../state/store.ts";
import type { Applied, ApplyEntry, ApplyResult } from "../state/store-types.ts";
import { Checkpoints } from "./checkpoints.ts";
import { ConsensusLink } from "./consensus-link.ts";
import { Proposals } from "./proposals.ts";
import { ReadGate } from "./reads.ts";
import { Replica } from "./replica.ts";
import { RestoreBuilder } from "./restore-builder.ts";
import { SnapshotLink } from "./snapshot-link.ts";
import { SnapshotTransfers } from "./snapshot-transfers.ts";
import { noListener } from "./steps.ts";
import { SharedWords } from "./thread-messages.ts";

/** Remembers commands as text; applies each client's sequence once, as the real state does. */
class ListStore {
  readonly commands: string[] = [];
  readonly #seen = new Map<string, Outcome>();
  #applied = { index: 0, term: 0, stampMs: 0 };
  #configuration = { bytes: encodeConfiguration([]), index: 0 };

  applied(): Applied {
    return {
      ...this.#applied,
      configuration: this.#configuration.bytes,
      configurationIndex: this.#configuration.index,
      generation: 1,
      indexBase: 0,
      restoredIndex: 0,
      restoreId: "",
    };
  }

  apply(entries: readonly ApplyEntry[]): ApplyResult {
    const outcomes = entries.map((entry) => {
      const { index, term, stampMs, kind, bytes } = entry;
      this.#applied = { index, term, stampMs };
      if (kind === "configuration") this.#configuration = { bytes, index };
      if (kind !== "command") return undefined;
      const { client, sequence, command } = LogRecord.decode(bytes);
      const key = `${client} ${sequence}`;
      const known = this.#seen.get(key);
      if (known !== undefined) return known;
      this.commands.push(new TextDecoder().decode(command));
      const outcome = { index, ok: true } as Outcome;
      this.#seen.set(key, outcome);
      return outcome;
    });
    return { outcomes, changes: { groups: [], touched: new Map() } };
  }

  checkpoint(): number {
    return this.#applied.index;
  }
}

class TestServer {
  readonly store = new ListStore();
  readonly words = new SharedWords();
  readonly link: ConsensusLink;
  readonly proposals: Proposals;
  readonly gate: ReadGate;
  readonly replica: Replica;
  readonly id: string;

  constructor(id: string, folder: string, port: number) {
    this.id = id;
    this.link = new ConsensusLink({
      id,
      node: id,
      datacenter: "dc1",
      release: "test",
      settings: scaledSettings(1),
      seed: port,
      folder,
      stepsModule: undefined,
      reserveBytes: 0,
      listenHost: "127.0.0.1",
      listenPort: port,
      busSocket: "",
      words: this.words.buffer,
      applied: { index: 0, term: 0 },
      stampMs: 0,
      configuration: { index: 0, servers: [] },
    }, {
      disk: () => {},
      logWritten: () => {},
      late: () => {},
      garbage: () => {},
      damaged: () => {},
      failed: (reason) => {
        throw new Error(reason);
      },
    }, (packed, effects) => this.replica.turn(packed, effects));
    this.proposals = new Proposals(
      {
        id,
        holdMs: 10_000,
        refusal: () => undefined,
        propose: (n, bytes, kind) => this.link.propose(n, bytes, kind),
      },
      `client-${id}`,
    );
    this.gate = new ReadGate({
      words: this.words,
      holdMs: 10_000,
      request: (n, mode) => this.link.requestRead(n, mode),
    }, 0);
    const store = this.store as unknown as Store;
    const worker = new SnapshotLink();
    this.replica = new Replica({
      files: { current: store },
      link: this.link,
      proposals: this.proposals,
      gate: this.gate,
      transfers: new SnapshotTransfers({
        folder,
        files: { current: store, applied: () => store.applied(), install: () => false },
        worker,
        link: () => this.link,
        log: { error: () => {} },
        onStep: noListener,
      }),
      builder: new RestoreBuilder(folder, { install: () => false }, worker),
      checkpoints: new Checkpoints({
        files: { current: store },
        checkpoint: () => Promise.resolve(false),
        isDue: () => false,
        taken: () => {},
        onStep: noListener,
        entries: 1e9,
        intervalMs: 1e6,
      }),
    }, {
      changed: () => {},
      leadershipChanged: () => this.#notify(),
      configurationChanged: () => {},
      applied: () => {},
      damaged: () => {},
      halted: () => {},
      transferAnswered: () => {},
      changeAnswered: () => {},
    });
  }

  #listeners: (() => void)[] = [];
  #notify(): void {
    this.#listeners.splice(0).forEach((listener) => listener());
  }

  async leaderKnown(not = ""): Promise<string> {
    while (this.replica.leadership.leader === "" || this.replica.leadership.leader === not) {
      await new Promise<void>((resolve) => this.#listeners.push(resolve));
    }
    return this.replica.leadership.leader;
  }

  put(text: string): Promise<Outcome> {
    return this.proposals.propose(new TextEncoder().encode(text), undefined, 10_000);
  }

  async stop(): Promise<void> {
    this.replica.stop();
    this.proposals.close();
    this.gate.close();
    await this.link.stop();
  }
}

const folder = mkdtempSync(join(tmpdir(), "raft-"));
let running: TestServer[] = [];
afterEach(async () => {
  await Promise.all(running.map((server) => server.stop()));
  running = [];
  rmSync(folder, { recursive: true, force: true });
});

async function startCluster(count: number): Promise<TestServer[]> {
  const servers = Array.from({ length: count }, (_, n) => {
    const id = `s${n + 1}`;
    return new TestServer(id, mkdtempSync(join(tmpdir(), `raft-${id}-`)), 0);
  });
  running = servers;
  const ports = await Promise.all(servers.map(({ link }) => link.started));
  const members: Member[] = servers.map(({ id }, n) => ({
    id,
    address: `127.0.0.1:${ports[n]}`,
    suffrage: "voter",
  }));
  for (const { link } of servers) {
    const configuration = { index: 1, servers: members };
    link.tell({ kind: "bootstrap-requested", id: 0, configuration });
  }
  return servers;
}

test("one server commits what it is given and reads by lease", async () => {
  const [server] = await startCluster(1);
  await Promise.all(Array.from({ length: 500 }, (_, n) => server!.put(`v${n}`)));
  expect(server!.store.commands).toEqual(Array.from({ length: 500 }, (_, n) => `v${n}`));
  expect(server!.gate.hasLease()).toBe(true);
  await server!.gate.wait("consistent", 1_000);
});

test("three servers hold the same list, whoever was asked", async () => {
  const servers = await startCluster(3);
  await Promise.all(servers.map((server) => server.leaderKnown()));
  await Promise.all(
    Array.from({ length: 300 }, (_, n) => servers[n % 3]!.put(`v${n}`)),
  );
  await Promise.all(servers.map((server) => server.gate.wait("consistent", 5_000)));
  const [first, second, third] = servers.map(({ store }) => store.commands);
  expect(new Set(first).size).toBe(300);
  expect(second).toEqual(first!);
  expect(third).toEqual(first!);
});

test("when the leader stops, the others go on and lose nothing", async () => {
  const servers = await startCluster(3);
  const leader = await servers[0]!.leaderKnown();
  const followers = servers.filter(({ id }) => id !== leader);
  await Promise.all(followers.map((server, n) => server.put(`before ${n}`)));
  const stopped = servers.find(({ id }) => id === leader)!;
  running = followers;
  const writes = Array.from({ length: 50 }, (_, n) => followers[n % 2]!.put(`during ${n}`));
  await stopped.stop();
  await Promise.all(writes);
  await followers[0]!.put("after");
  await Promise.all(followers.map((server) => server.gate.wait("default", 5_000)));
  const [first, second] = followers.map(({ store }) => store.commands);
  expect(first!.length).toBe(53);
  expect(new Set(first).size).toBe(53);
  expect(second).toEqual(first!);
}, 20_000);
