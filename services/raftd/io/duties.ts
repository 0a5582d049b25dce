// What this server does besides answering: while blank, it watches for its cluster to bootstrap;
// while leader, it keeps the members of Raft and the catalog equal to what gossip says.

import { Command, type Query, type ReadReply } from "#proto/messages.js";
import { Raft } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import type { Call } from "#shared/bus/types.ts";
import type { DaemonContext } from "#shared/daemon.ts";
import { CuriaError } from "#shared/errors.ts";
import {
  type BootstrapDecision,
  decideBootstrap,
  type ServerMember,
} from "../core/duties/bootstrap.ts";
import { type CatalogRows, reconcile, serfHealth } from "../core/duties/reconcile.ts";
import { nextServerChange, type ServerHealth } from "../core/duties/servers.ts";
import type { Configuration } from "../core/raft/messages.ts";
import type { RaftStatus } from "../core/raft/machine.ts";
import type { Store } from "../state/store.ts";
import { bootTimeMs } from "./clock.ts";
import type { ConsensusLink } from "./consensus-link.ts";
import type { Members } from "./members.ts";
import type { Operator } from "./operator.ts";
import { parseAddress } from "./peers.ts";
import type { Proposals } from "./proposals.ts";
import type { ReadGate } from "./reads.ts";
import type { Leadership, Replica } from "./replica.ts";

export interface DutiesParts {
  context: DaemonContext;
  members: Members;
  replica: Replica;
  operator: Operator;
  proposals: Proposals;
  gate: ReadGate;
  files: { readonly current: Store };
  link: ConsensusLink;
}

const INTERVAL_MS = 500;
/** All members are looked at again after this long, whatever gossip says. */
const RECONCILE_MS = 60_000;
const APPLY_TIMEOUT_MS = 10_000;
const BOOTSTRAP_RETRY_MS = 1_000;
const ASK_TIMEOUT_MS = 1_000;

export class Duties {
  readonly #parts: DutiesParts;
  readonly #timer: Timer;
  readonly #health = new Map<string, ServerHealth>();
  #ledSinceMs = 0;
  #reconciledMs = -Infinity;
  #reconciledVersion = -1;
  #isRunning = false;
  #runAgain = false;
  #bootstraps = 0;
  #bootstrappedMs = 0;
  /** Why this server has no cluster yet. */
  waitingFor: string | undefined;

  constructor(parts: DutiesParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.run(), INTERVAL_MS);
    queueMicrotask(() => this.run());
  }

  leadershipChanged({ role }: Leadership): void {
    this.#reconciledMs = -Infinity;
    if (role !== "leader") this.#ledSinceMs = 0;
    else if (this.#ledSinceMs === 0) this.#ledSinceMs = bootTimeMs();
    this.run();
  }

  /** Looks at everything again, soon and never twice at once. */
  run(): void {
    if (this.#isRunning) {
      this.#runAgain = true;
      return;
    }
    this.#isRunning = true;
    this.#pass()
      .catch((error) => this.#parts.context.log.warn({ err: error }, "duties of this server"))
      .finally(() => {
        this.#isRunning = false;
        if (!this.#runAgain) return;
        this.#runAgain = false;
        this.run();
      });
  }

  /** Gives the session one fresh TTL, in the leader's memory alone. */
  async renewSession(id: string, call: Call): Promise<ReadReply> {
    const { gate, files, replica } = this.#parts;
    await gate.wait("default", call.deadlineMs - performance.now());
    const query = { kind: "sessions", sessions: { id, node: "" } } as Query;
    const reply = files.current.read(query);
    if (reply.sessions.length === 0) {
      throw new CuriaError("not-found", `Session id '${id}' not found`);
    }
    const { leader } = replica.leadership;
    return { ...reply, meta: { ...reply.meta!, knownLeader: leader !== "", lastContactMs: 0 } };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #pass(): Promise<void> {
    const { replica } = this.#parts;
    if (replica.configuration.servers.length === 0) return await this.#bootstrap();
    this.waitingFor = undefined;
    if (replica.leadership.readyIndex > 0) await this.#lead();
  }

  async #lead(): Promise<void> {
    // While gossipd is silent nothing follows from what it said last.
    if (!this.#parts.members.isFresh(performance.now())) return;
    await this.#reconcile();
    await this.#changeServers();
  }

  async #reconcile(): Promise<void> {
    const { members, context, files, proposals } = this.#parts;
    const nowMs = bootTimeMs();
    const isDue = nowMs - this.#reconciledMs >= RECONCILE_MS;
    if (!isDue && this.#reconciledVersion === members.version) return;
    const { version } = members;
    const { nodes, checks, services } = files.current.tables;
    const rows: CatalogRows = {
      node: (name) => nodes.find("", name),
      check: (node, id) => checks.find("", node, id),
      service: (node, id) => services.find("", node, id),
      *nodesWithSerfHealth() {
        for (const { node, checkId } of checks.list("")) if (checkId === serfHealth) yield node;
      },
    };
    const { identity } = context;
    const settings = { datacenter: identity.datacenter, self: identity.node };
    for (const command of reconcile([...members.all()], rows, settings)) {
      const outcome = await proposals.propose(
        Command.encode(command).finish(),
        undefined,
        APPLY_TIMEOUT_MS,
      );
      if (outcome.errorCode !== 0) {
        const node = command.register?.node?.node ?? command.deregister?.node;
        context.log.warn({ node, error: outcome.error }, "member not brought into the catalog");
      }
    }
    this.#reconciledVersion = version;
    this.#reconciledMs = nowMs;
  }

  async #changeServers(): Promise<void> {
    const { members, context, replica, operator, link } = this.#parts;
    const alive = members.servers();
    const nowMs = bootTimeMs();
    this.#observe(alive, await link.status(), nowMs);
    const change = nextServerChange({
      self: context.identity.nodeId,
      configuration: replica.configuration,
      alive,
      gone: members.gone(),
      health: this.#health,
      ledSinceMs: this.#ledSinceMs,
      stabilizationMs: context.config.autopilot.serverStabilizationTimeMs,
    }, nowMs);
    if (change === undefined) return;
    context.log.info(change, "changing the Raft configuration");
    await operator.change(change);
  }

  #observe(alive: readonly ServerMember[], status: RaftStatus, nowMs: number): void {
    const { lastContactThresholdMs, maxTrailingLogs } = this.#parts.context.config.autopilot;
    for (const peer of status.peers) {
      const isHealthy = alive.some(({ id }) => id === peer.id) &&
        peer.contactAgeMs <= lastContactThresholdMs &&
        peer.matchIndex + maxTrailingLogs >= status.lastIndex;
      const since = this.#health.get(peer.id)?.healthySinceMs;
      this.#health.set(peer.id, { healthySinceMs: isHealthy ? since ?? nowMs : undefined });
    }
  }

  async #bootstrap(): Promise<void> {
    const { context, members } = this.#parts;
    const { config } = context;
    const known = members.servers();
    const self = known.find(({ id }) => id === context.identity.nodeId) ?? this.#ownMember();
    const others = known.filter(({ id }) => id !== self.id);
    // A lone server needs nobody's word but its own; gossip is not waited for.
    const decision = decideBootstrap(
      { bootstrap: config.bootstrap, expect: config.bootstrapExpect },
      self,
      others,
    );
    await this.#follow(decision);
  }

  async #follow(decision: BootstrapDecision): Promise<void> {
    const { context } = this.#parts;
    if (decision.kind !== "ask") {
      if (decision.kind === "refuse" && this.waitingFor !== decision.reason) {
        context.log.error({ reason: decision.reason }, "cannot bootstrap");
      }
      this.waitingFor = decision.reason;
      return;
    }
    const answers = await Promise.all(decision.servers.map((server) => this.#isBlank(server)));
    const unblank = decision.servers.find((_, n) => answers[n] === false);
    if (unblank !== undefined) {
      this.waitingFor = `${unblank.name} has a cluster already: waiting for its leader to add us`;
      return;
    }
    const silent = decision.servers.find((_, n) => answers[n] === undefined);
    if (silent !== undefined) {
      this.waitingFor = `${silent.name} does not tell whether it has a cluster`;
      return;
    }
    this.#write(decision.configuration);
  }

  #write(configuration: Configuration): void {
    // The core answers within a turn; until then the same decision comes out again.
    if (this.#bootstraps > 0 && bootTimeMs() - this.#bootstrappedMs < BOOTSTRAP_RETRY_MS) return;
    this.#bootstrappedMs = bootTimeMs();
    const servers = configuration.servers.map(({ address }) => address);
    this.#parts.context.log.info({ servers }, "bootstrapping the cluster");
    const id = BOOTSTRAP_IDS_FROM + this.#bootstraps++;
    this.#parts.link.tell({ kind: "bootstrap-requested", id, configuration });
  }

  /** Whether the server has no configuration yet; undefined: it did not answer. */
  async #isBlank({ address }: ServerMember): Promise<boolean | undefined> {
    const { context } = this.#parts;
    const client = new BusClient({
      addresses: [parseAddress(address)],
      daemon: "raftd",
      identity: context.identity,
      log: context.log,
    });
    try {
      const { servers } = await client.of(Raft).getConfiguration({}, {
        consistency: "stale",
        timeoutMs: ASK_TIMEOUT_MS,
      });
      return servers.length === 0;
    } catch (error) {
      if (error instanceof CuriaError && error.code === "permission-denied") throw error;
      return undefined;
    } finally {
      client.close();
    }
  }

  #ownMember(): ServerMember {
    const { identity, config } = this.#parts.context;
    const { advertise } = config.addresses;
    const host = advertise.includes(":") ? `[${advertise}]` : advertise;
    return {
      id: identity.nodeId,
      name: identity.node,
      address: `${host}:${config.ports.server}`,
      expect: config.bootstrapExpect,
      isBootstrap: config.bootstrap,
      isCuria: true,
    };
  }
}

/** Apart from every other proposal id. */
const BOOTSTRAP_IDS_FROM = 2 ** 51;
