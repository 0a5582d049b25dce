// A whole cluster in one process: servers, clients, faults and checks over one queue of virtual
// time. Everything follows from the seed.

import { Random } from "#shared/random.ts";
import type { Configuration, Server } from "../../services/raftd/core/raft/messages.ts";
import { scaledSettings } from "../../services/raftd/core/raft/settings.ts";
import { Checks, Violation } from "./checks.ts";
import { Client } from "./client.ts";
import { History } from "./history.ts";
import { Keys } from "./keys.ts";
import type { StateKind } from "./kv.ts";
import { checkLinearizable } from "./linear.ts";
import { calmNetwork, type Mix } from "./mix.ts";
import { Network } from "./network.ts";
import { EventQueue } from "./queue.ts";
import { SimServer } from "./server.ts";
import { count, type RaftFactory, type SimTarget, type World } from "./world.ts";

export interface ClusterOptions {
  readonly random: Random;
  readonly mix: Mix;
  readonly createRaft: RaftFactory;
  readonly states: StateKind;
  readonly trace?: (line: string) => void;
}

export class Cluster {
  readonly queue = new EventQueue();
  readonly checks = new Checks();
  readonly history = new History();
  readonly servers = new Map<string, SimServer>();
  readonly counts: Record<string, number> = {};
  readonly random: Random;
  readonly network: Network;
  readonly mix: Mix;
  readonly world: World;
  #clients: Client[] = [];
  #nextServer = 1;
  #nextChange = 1;

  constructor({ random, mix, createRaft, states, trace }: ClusterOptions) {
    this.random = random;
    this.mix = mix;
    this.network = new Network(this.queue, random.split(), mix.network);
    this.world = {
      queue: this.queue,
      random: random.split(),
      network: this.network,
      checks: this.checks,
      settings: scaledSettings(1, {
        ...mix.settings,
        snapshotChunkBytes: states.snapshotChunkBytes,
      }),
      createRaft,
      states,
      disk: mix.disk,
      checkpointEvery: mix.checkpointEvery,
      trace: trace && ((line) => trace(`${this.queue.nowMs.toFixed(1).padStart(9)} ${line}`)),
      counts: this.counts,
      deliver: (to, run) => this.#deliver(to, run),
      noticed: (what, id) => this.onNotice?.(what, id),
    };
  }

  /** Told when a server stands, becomes leader or gives its vote. */
  onNotice: World["noticed"] | undefined;
  /** What is to happen once when a server stands for election. */
  readonly whenItStands = new Map<string, () => void>();

  /** Servers begin blank; one or all of them write the first configuration. */
  bootstrap(): void {
    const ids = Array.from({ length: this.mix.serverCount }, () => this.addServer().id);
    const servers: Server[] = ids.map((id) => ({ id, address: `${id}:8300`, suffrage: "voter" }));
    const configuration: Configuration = { index: 1, servers };
    const writers = this.mix.isBootstrappedByAll ? ids : [ids[0]!];
    for (const id of writers) this.#bootstrapOne(id, configuration);
  }

  /** Until it is done: a crash may have come before the first sync. */
  #bootstrapOne(id: string, configuration: Configuration): void {
    this.queue.after(this.random.between(1, 200), () => {
      const server = this.servers.get(id)!;
      if ((server.status()?.lastIndex ?? 0) > 0 && server.disk.lastIndex > 0) return;
      server.input({ kind: "bootstrap-requested", id: 0, configuration });
      this.#bootstrapOne(id, configuration);
    });
  }

  addServer(): SimServer {
    const server = new SimServer(this.world, `s${this.#nextServer++}`);
    this.servers.set(server.id, server);
    server.start();
    return server;
  }

  startClients(): void {
    const keys = new Keys();
    for (let i = 0; i < this.mix.clientCount; i++) {
      const client = new Client(
        this.world,
        `c${i}`,
        this.history,
        keys,
        (server, request, reply) => this.#ask(server, request, reply),
        () => [...this.servers.keys()],
        this.mix,
        [...this.servers.keys()][i % this.mix.serverCount]!,
      );
      this.#clients.push(client);
      client.start();
    }
  }

  stopClients(): void {
    for (const client of this.#clients) client.stop();
  }

  up(): SimServer[] {
    return [...this.servers.values()].filter((server) => server.isUp);
  }

  leader(): SimServer | undefined {
    const leaders = this.up().filter((server) => server.status()!.role === "leader");
    return leaders.sort((a, b) => b.status()!.term - a.status()!.term)[0];
  }

  nextChange(): number {
    return 1_000_000_000_000 + this.#nextChange++;
  }

  #deliver(to: string, run: (server: SimTarget) => void): void {
    const server = this.servers.get(to);
    server?.whenAwake(server.run, () => run(server), "peers");
  }

  #ask: ConstructorParameters<typeof Client>[4] = (id, request, reply) => {
    const { random } = this.world;
    const wayMs = () => random.between(0.1, 2);
    this.queue.after(wayMs(), () => {
      const server = this.servers.get(id);
      server?.whenAwake(server.run, () => {
        server.state.handle(request, (answer) => this.queue.after(wayMs(), () => reply(answer)));
      }, "clients");
    });
  };

  /** Everything works again; within `withinMs` a write must succeed and all members be level. */
  healAndSettle(withinMs: number): void {
    this.network.heal();
    this.network.mix = calmNetwork;
    for (const server of this.servers.values()) {
      server.start();
      server.input({ kind: "disk-full-changed", isFull: false });
    }
    const endMs = this.queue.nowMs + withinMs;
    const answeredBefore = this.counts["calls answered"] ?? 0;
    while (this.queue.nowMs < endMs) {
      this.queue.runUntil(this.queue.nowMs + 250);
      const answered = (this.counts["calls answered"] ?? 0) - answeredBefore;
      if (answered >= 20) this.stopClients();
      if (answered >= 20 && this.#isLevel()) return;
    }
    throw new Violation(`not level ${withinMs} ms after everything healed: ${this.#standing()}`);
  }

  #isLevel(): boolean {
    const leader = this.leader();
    if (!leader) return false;
    const { configuration, lastIndex, commitIndex } = leader.status()!;
    if (commitIndex !== lastIndex) return false;
    const members = configuration.servers.map(({ id }) => this.servers.get(id)!);
    if (!members.every((server) => server.isUp && server.state.kv.index === lastIndex)) {
      return false;
    }
    for (const server of members) this.checks.content(server.id, server.state.kv);
    return true;
  }

  #standing(): string {
    return this.up().map((server) => {
      const { role, term, leader, lastIndex, commitIndex, configuration } = server.status()!;
      const members = configuration.servers.map((s) =>
        `${s.id}${s.suffrage === "voter" ? "" : "-"}`
      );
      return `${server.id} ${role} of term ${term} leader ${leader || "none"} log ${lastIndex} ` +
        `commit ${commitIndex} applied ${server.state.kv.index} members ${members.join(" ")}` +
        server.status()!.peers.map((p) =>
          ` [${p.id} ${p.state} match ${p.matchIndex} next ${p.nextIndex} ` +
          `inflight ${p.inflightCount} heard ${p.contactAgeMs.toFixed(0)} ms ago]`
        ).join("");
    }).join("; ");
  }

  checkHistory(): void {
    for (const [key, calls] of this.history.groups()) {
      const verdict = checkLinearizable(calls);
      if (verdict === "too-hard") count(this.world, "histories too hard");
      if (verdict !== "not-linearizable") continue;
      const lines = calls.map((c) =>
        `  ${c.client} ${c.invokeMs.toFixed(2)}-${c.returnMs.toFixed(2)} ${JSON.stringify(c.op)}` +
        ` ${c.key} → ${JSON.stringify(c.result)}`
      );
      throw new Violation(`history around ${key} is not linearizable:\n${lines.join("\n")}`);
    }
  }
}
