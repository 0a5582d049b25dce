// relayd at work: follows gossipd's members, gives each call its way, moves callers between servers.

import type { MemberEvent } from "#proto/messages.js";
import { Gossip } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { newCounts } from "#shared/bus/counts.ts";
import { daemonClient } from "#shared/bus/state-client.ts";
import type { Call, InStream, Method } from "#shared/bus/types.ts";
import type { DaemonContext } from "#shared/daemon.ts";
import { CuriaError } from "#shared/errors.ts";
import { Random } from "#shared/random.ts";
import { Balance } from "../core/balance.ts";
import { findWay, type RouteSettings } from "../core/route.ts";
import { type Pool, type Server, Servers } from "../core/servers.ts";
import { HeldCalls } from "./held-calls.ts";
import { Links } from "./links.ts";

/** How long a client node's call may wait for the first list of members. */
const membersWaitMs = 5_000;
/** How often this node's raftd is looked for while calls wait for it. */
const ownServerIntervalMs = 25;
const resubscribeMs = 200;
/** gossipd's bookmarks come each second. */
const silenceMs = 5_000;
const rebalanceMs = { least: 120_000, spread: 60_000 };

export class RelayLoop {
  readonly counts = newCounts();
  readonly #context: DaemonContext;
  readonly #settings: RouteSettings;
  readonly #servers = new Servers();
  readonly #random = new Random(crypto.getRandomValues(new Uint32Array(1))[0]!);
  readonly #balance = new Balance(this.#random.split());
  readonly #links: Links;
  readonly #gossip: BusClient;
  readonly #ownServer: BusClient;
  readonly #pools: Pool[];
  readonly #streams = new Map<Pool, { stream: InStream<MemberEvent>; heardMs: number }>();
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  /** Calls that wait for the first list of members, or for this node's raftd. */
  readonly #held = new HeldCalls();
  #isLooking = false;
  /** Open streams by the caller's connection: they end when it moves to another server. */
  readonly #openStreams = new Map<number, Set<Call>>();
  #isStopped = false;
  moves = 0;

  constructor(context: DaemonContext) {
    this.#context = context;
    const { config, identity, log } = context;
    this.#settings = {
      datacenter: identity.datacenter,
      nodeId: identity.nodeId,
      isServer: config.server,
    };
    this.#pools = config.server ? ["lan", "wan"] : ["lan"];
    this.#gossip = daemonClient(context, "gossipd");
    this.#ownServer = daemonClient(context, "state");
    this.#ownServer.onConnected = () => this.#held.changed();
    this.#links = new Links(identity, log, this.counts, {
      failed: (id) => this.#balance.failed(id, performance.now()),
      answered: (id) => this.#balance.answered(id),
    });
  }

  get servers(): Servers {
    return this.#servers;
  }

  get openLinks(): number {
    return this.#links.openCount;
  }

  notReady(): string | undefined {
    if (!this.#servers.isWhole("lan")) return "no member list from gossipd yet";
    const { datacenter, isServer } = this.#settings;
    if (!isServer && this.#servers.of(datacenter).length === 0) return "no server is known";
    return undefined;
  }

  start(): void {
    for (const pool of this.#pools) this.#follow(pool);
    this.#every(silenceMs / 2, () => this.#checkSilence());
    this.#rebalanceLater();
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const { stream } of this.#streams.values()) stream.cancel();
    this.#gossip.close();
    this.#ownServer.close();
    this.#links.close();
    this.#held.close();
  }

  /** The route hook of the bus server. */
  route(method: Method, call: Call): BusClient | Promise<BusClient> | undefined {
    const { daemon } = call.context;
    if (method.name.startsWith("Control.") && (daemon === "" || daemon === "relayd")) {
      return undefined;
    }
    const way = findWay(call.context, this.#servers, this.#settings);
    switch (way.kind) {
      case "servers":
        return this.#link(call, way.candidates);
      case "own-server":
        return this.#ownServer.isConnected ? this.#ownServer : this.#hold(call);
      case "refuse":
        throw new CuriaError(way.code, way.message);
      case "wait":
        return this.#hold(call);
    }
  }

  #link(call: Call, candidates: readonly Server[]): BusClient {
    const { connection, method } = call;
    const server = this.#balance.pick(connection.id, candidates, performance.now())!;
    const open = this.#streamsOf(connection.id, call);
    if (method.kind !== "unary") {
      for (const other of open) if (other.isOver) open.delete(other);
      open.add(call);
    }
    return this.#links.to(server);
  }

  #streamsOf(caller: number, call: Call): Set<Call> {
    let open = this.#openStreams.get(caller);
    if (open === undefined) {
      this.#openStreams.set(caller, open = new Set());
      call.connection.onClose(() => {
        this.#openStreams.delete(caller);
        this.#balance.released(caller);
      });
    }
    return open;
  }

  /** A server holds calls as long as Consul does while there is no leader: its raftd may be about to
   *  start. */
  async #hold(call: Call): Promise<BusClient> {
    const { isServer } = this.#settings;
    const limitMs = isServer ? this.#context.config.raft.rpcHoldTimeoutMs : membersWaitMs;
    const endMs = Math.min(performance.now() + limitMs, call.deadlineMs);
    while (true) {
      const way = findWay(call.context, this.#servers, this.#settings);
      if (way.kind === "servers") return this.#link(call, way.candidates);
      if (way.kind === "refuse") throw new CuriaError(way.code, way.message);
      // Its raftd may be back before gossipd has told who else is there.
      if (way.kind === "own-server" || (isServer && this.#isOwn(call))) {
        if (this.#ownServer.isConnected) return this.#ownServer;
        this.#lookForOwnServer();
      }
      const leftMs = endMs - performance.now();
      if (leftMs <= 0 || this.#isStopped) throw this.#nowhere(call);
      await this.#held.wait(leftMs);
    }
  }

  #nowhere(call: Call): CuriaError {
    if (!this.#settings.isServer) return new CuriaError("no-servers", "No known Consul servers");
    return this.#isOwn(call)
      ? new CuriaError("no-leader", "No cluster leader")
      : new CuriaError("no-path-to-datacenter", "No path to datacenter");
  }

  /** For the state of this datacenter, on whichever server. */
  #isOwn({ context: { datacenter, target } }: Call): boolean {
    const isHere = datacenter === "" || datacenter === this.#settings.datacenter;
    return isHere && !target.startsWith("node:");
  }

  #lookForOwnServer(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#ownServer.connect();
    this.#after(ownServerIntervalMs, () => {
      this.#isLooking = false;
      if (this.#held.count > 0 && !this.#ownServer.isConnected) this.#lookForOwnServer();
    });
  }

  // ---- members

  #follow(pool: Pool): void {
    if (this.#isStopped) return;
    const stream = this.#gossip.of(Gossip).watchMembers({ wan: pool === "wan" });
    const entry = { stream, heardMs: performance.now() };
    this.#streams.set(pool, entry);
    this.#servers.opened(pool);
    stream.onItem = (event) => {
      entry.heardMs = performance.now();
      if (this.#servers.apply(pool, event)) this.#serversChanged();
    };
    const lost = (reason: string) => {
      if (this.#streams.get(pool) !== entry) return;
      this.#streams.delete(pool);
      if (this.#isStopped) return;
      this.#context.log.debug({ pool, reason }, "member stream lost");
      this.#after(resubscribeMs, () => this.#follow(pool));
    };
    stream.onEnd = () => lost("ended");
    stream.onError = (error) => lost(error.message);
  }

  #checkSilence(): void {
    for (const [pool, { stream, heardMs }] of this.#streams) {
      if (performance.now() - heardMs < silenceMs) continue;
      stream.cancel();
      this.#streams.delete(pool);
      this.#follow(pool);
    }
  }

  #serversChanged(): void {
    const ids = this.#servers.datacenters()
      .flatMap((datacenter) => this.#servers.of(datacenter).map((server) => server.id));
    this.#links.keep(new Set(ids));
    this.#context.log.info({ servers: ids.length }, "servers changed");
    this.#held.changed();
  }

  // ---- balance

  #rebalanceLater(): void {
    const delayMs = rebalanceMs.least + this.#random.fraction() * rebalanceMs.spread;
    this.#after(delayMs, () => {
      for (const datacenter of this.#servers.datacenters()) this.rebalance(datacenter);
      this.#rebalanceLater();
    });
  }

  rebalance(datacenter: string): void {
    const candidates = this.#servers.of(datacenter)
      .filter((server) => server.id !== this.#settings.nodeId);
    const moved = new CuriaError("unavailable", "The caller moves to another server");
    for (const caller of this.#balance.rebalance(candidates, performance.now())) {
      this.moves++;
      for (const call of [...this.#openStreams.get(caller) ?? []]) call.fail(moved);
    }
  }

  // ---- timers

  #after(delayMs: number, fire: () => void): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#isStopped) fire();
    }, delayMs);
    this.#timers.add(timer);
    return timer;
  }

  #every(intervalMs: number, fire: () => void): void {
    this.#after(intervalMs, () => {
      fire();
      this.#every(intervalMs, fire);
    });
  }
}
