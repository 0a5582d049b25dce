// What this server does besides answering: while blank, it looks for its cluster; while leader, it
// keeps the servers, the catalog, sessions and tombstones in order.

import type { AutopilotReply, Query, ReadReply } from "#proto/messages.js";
import type { BusClient } from "#shared/bus/client.ts";
import type { Call } from "#shared/bus/types.ts";
import type { DaemonContext } from "#shared/daemon.ts";
import { CuriaError } from "#shared/errors.ts";
import type { Store } from "../state/store.ts";
import type { AppliedChanges } from "../state/store-types.ts";
import { Bootstrapper } from "./bootstrapper.ts";
import { CatalogKeeper } from "./catalog-keeper.ts";
import type { ConsensusLink } from "./consensus-link.ts";
import { ExpiryKeeper } from "./expiry-keeper.ts";
import type { Members } from "./members.ts";
import type { Operator } from "./operator.ts";
import type { Proposals } from "./proposals.ts";
import type { ReadGate } from "./reads.ts";
import type { Leadership, Replica } from "./replica.ts";
import { ServerKeeper } from "./server-keeper.ts";

export interface DutiesParts {
  context: DaemonContext;
  gossip: BusClient;
  members: Members;
  replica: Replica;
  operator: Operator;
  proposals: Proposals;
  gate: ReadGate;
  files: { readonly current: Store };
  link: ConsensusLink;
}

const INTERVAL_MS = 500;

export class Duties {
  readonly #parts: DutiesParts;
  readonly #bootstrapper: Bootstrapper;
  readonly #catalog: CatalogKeeper;
  readonly #servers: ServerKeeper;
  readonly #expiry: ExpiryKeeper;
  readonly #timer: Timer;
  #isReadyLeader = false;
  #isRunning = false;
  #runAgain = false;

  constructor(parts: DutiesParts) {
    this.#parts = parts;
    const { context, members, link, files, proposals } = parts;
    this.#bootstrapper = new Bootstrapper(context, members, link);
    this.#catalog = new CatalogKeeper(context, members, files, proposals);
    this.#servers = new ServerKeeper(parts);
    this.#expiry = new ExpiryKeeper(files, proposals, context.log);
    this.#timer = setInterval(() => this.run(), INTERVAL_MS);
    queueMicrotask(() => this.run());
  }

  /** Why this server has no cluster yet. */
  get waitingFor(): string | undefined {
    return this.#bootstrapper.waitingFor;
  }

  leadershipChanged({ role, readyIndex }: Leadership): void {
    const wasReady = this.#isReadyLeader;
    this.#isReadyLeader = role === "leader" && readyIndex > 0;
    if (this.#isReadyLeader && !wasReady) {
      this.#catalog.restart();
      this.#servers.restart();
      this.#expiry.lead();
    }
    if (!this.#isReadyLeader) this.#expiry.depose();
    this.run();
  }

  changed(changes: AppliedChanges | "everything"): void {
    this.#expiry.changed(changes);
    if (changes !== "everything" || !this.#isReadyLeader) return;
    // The catalog of another time: everyone is looked at again.
    this.#catalog.restart();
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
    this.#expiry.renew(id);
    const { leader } = replica.leadership;
    return { ...reply, meta: { ...reply.meta!, knownLeader: leader !== "", lastContactMs: 0 } };
  }

  autopilotHealth(): AutopilotReply {
    const encoder = new TextEncoder();
    return {
      bodyJson: encoder.encode(this.#servers.healthJson()),
      stateJson: encoder.encode(this.#servers.stateJson()),
    };
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#expiry.stop();
  }

  async #pass(): Promise<void> {
    const { replica, members, link } = this.#parts;
    // Until then neither has the core said which configuration it has, nor would it hear of one.
    await link.started;
    if (replica.configuration.servers.length === 0) return await this.#bootstrapper.run();
    this.#bootstrapper.waitingFor = undefined;
    // While gossipd is silent nothing follows from what it said last.
    if (!this.#isReadyLeader || !members.isFresh(performance.now())) return;
    await this.#catalog.run();
    await this.#servers.run();
  }
}
