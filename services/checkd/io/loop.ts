// Turns the agent's effects into deeds: timers, probes, pushes, files. All inputs of the agent pass
// through here, so that no effect is lost.

import type { Log } from "#shared/log.ts";
import type { Clock } from "#shared/machine.ts";
import { toCuriaError } from "#shared/errors.ts";
import type { Agent, AgentEffect } from "../core/agent.ts";
import type { PushGroup } from "../core/push.ts";
import type { SyncEvent } from "../core/sync.ts";
import type { CheckdMetrics } from "../metrics.ts";
import type { Catalog } from "./catalog.ts";
import type { LocalStore } from "./local-store.ts";
import type { ProbeRunner } from "./probe-runner.ts";
import { Timers } from "./timers.ts";
import { WriteTurns } from "./write-turns.ts";

export interface LoopParts {
  agent: Agent;
  catalog: Catalog;
  store: LocalStore;
  probes: ProbeRunner;
  clock: Clock;
  log: Log;
  metrics: CheckdMetrics;
}

interface SettleWaiter {
  revision: number;
  resolve: (isOk: boolean) => void;
}

export class Loop {
  readonly #parts: LoopParts;
  readonly #timers = new Timers((name) => this.do((agent, nowMs) => agent.timerFired(name, nowMs)));
  readonly #turns = new WriteTurns();
  #settleWaiters: SettleWaiter[] = [];
  readonly #changeWaiters = new Set<() => void>();
  #seenVersion = 0;
  #isStopped = false;
  /** Why the catalog is behind; undefined when it is not. */
  unreachable: string | undefined;

  constructor(parts: LoopParts) {
    this.#parts = parts;
    this.#seenVersion = parts.agent.local.version;
  }

  /** Gives the agent an input and does what it orders. The promise resolves when what must be kept
   *  is durable; it rejects when it could not be written. Throws what the agent refuses. */
  do(act: (agent: Agent, nowMs: number) => AgentEffect[]): Promise<void> {
    if (this.#isStopped) return Promise.resolve();
    const { agent, clock } = this.#parts;
    const effects = act(agent, clock.nowMs());
    const orders: (() => Promise<void>)[] = [];
    for (const effect of effects) {
      const write = this.#perform(effect);
      if (write !== undefined) orders.push(write);
    }
    const writes = orders.map((write) => this.#turns.write(write));
    this.#tellChange();
    if (writes.length === 0) return Promise.resolve();
    const durable = Promise.all(writes).then(() => {}, (error: unknown) => {
      this.#parts.metrics.storeFailures.add();
      this.#parts.log.error({ err: error }, "a registration could not be written to data_dir");
      throw error;
    });
    // A result of a check that cannot be kept has nobody who waits for it.
    durable.catch(() => {});
    return durable;
  }

  /** Resolves when all changes so far were pushed (true), could not be, or the time is up. */
  settled(maxMs: number): Promise<boolean> {
    const { standing, local: { revision } } = this.#parts.agent;
    if (standing !== "busy") return Promise.resolve(standing === "in-step");
    return this.#awaitSettled(revision, maxMs);
  }

  /** Compares everything with the catalog now, and pushes what differs. */
  syncAll(maxMs: number): Promise<boolean> {
    this.do((agent, nowMs) => agent.sync({ kind: "sync-requested" }, nowMs));
    return this.#awaitSettled(this.#parts.agent.local.revision, maxMs);
  }

  #awaitSettled(revision: number, maxMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiter = { revision, resolve: (isOk: boolean) => finish(isOk) };
      const timer = setTimeout(() => finish(false), maxMs);
      const finish = (isOk: boolean) => {
        clearTimeout(timer);
        this.#settleWaiters = this.#settleWaiters.filter((other) => other !== waiter);
        resolve(isOk);
      };
      this.#settleWaiters.push(waiter);
    });
  }

  /** Calls back once at the next change; the answer takes the call back. */
  onNextChange(listener: () => void): () => void {
    this.#changeWaiters.add(listener);
    return () => this.#changeWaiters.delete(listener);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timers.stop();
    this.#parts.probes.stop();
  }

  #tellChange(): void {
    const { version } = this.#parts.agent.local;
    if (version === this.#seenVersion) return;
    this.#seenVersion = version;
    const waiters = [...this.#changeWaiters];
    this.#changeWaiters.clear();
    for (const tell of waiters) tell();
  }

  /** A write only for what must be durable. */
  #perform(effect: AgentEffect): (() => Promise<void>) | undefined {
    const { store, probes, clock, metrics, log } = this.#parts;
    switch (effect.kind) {
      case "set-timer":
        return void this.#timers.set(effect.timer, effect.afterMs);
      case "clear-timer":
        return void this.#timers.clear(effect.timer);
      case "probe":
        return void probes.start(effect.checkId, effect.definition, (result, isLast) => {
          const { checkId, run } = effect;
          this.do((agent, nowMs) =>
            agent.schedule({ kind: "probed", checkId, run, result, isLast }, nowMs)
          );
        });
      case "abort-probe":
        return void probes.abort(effect.checkId);
      case "result":
        throw new Error("results stay inside the agent");
      case "read-catalog":
        return void this.#read();
      case "push":
        return void this.#turns.pushing(this.#push(effect.group));
      case "settled":
        return this.#settle(effect.revision, effect.isOk);
      case "report":
        return this.#report(effect.event);
      case "reaped":
        metrics.reaped.add();
        log.info(effect.due, "service deregistered: its check was critical for too long");
        return undefined;
      case "save-service":
        return () => store.saveService(effect.entry);
      case "forget-service":
        return () => store.removeService(effect.id);
      case "save-check":
        return () => store.saveCheck(effect.entry);
      case "forget-check":
        return () => store.removeCheck(effect.id);
      case "save-ttl": {
        const expiresWallMs = clock.wallMs() + effect.ttlMs;
        return () => store.saveTtl(effect.checkId, effect, expiresWallMs);
      }
      default:
        return effect satisfies never;
    }
  }

  async #read(): Promise<void> {
    const { catalog, agent } = this.#parts;
    try {
      const view = await catalog.read(agent.local.node.node);
      this.do((agent, nowMs) => agent.sync({ kind: "catalog-read", catalog: view }, nowMs));
    } catch (error) {
      const text = toCuriaError(error).message;
      this.do((agent, nowMs) => agent.sync({ kind: "catalog-failed", error: text }, nowMs));
    }
  }

  async #push(group: PushGroup): Promise<void> {
    const { catalog, clock, metrics } = this.#parts;
    const startMs = clock.nowMs();
    try {
      const outcomes = await catalog.push(group);
      metrics.pushes.with({ result: "ok" }).add();
      this.do((agent, nowMs) => agent.sync({ kind: "pushed", outcomes }, nowMs));
    } catch (error) {
      const text = toCuriaError(error).message;
      metrics.pushes.with({ result: "failed" }).add();
      this.do((agent, nowMs) => agent.sync({ kind: "push-failed", error: text }, nowMs));
    }
    metrics.pushSeconds.observe((clock.nowMs() - startMs) / 1000);
  }

  #settle(revision: number, isOk: boolean): undefined {
    if (isOk) this.unreachable = undefined;
    for (const waiter of [...this.#settleWaiters]) {
      if (waiter.revision <= revision) waiter.resolve(isOk);
    }
  }

  #report(event: SyncEvent): undefined {
    const { log, metrics } = this.#parts;
    switch (event.kind) {
      case "synced-all":
        metrics.comparisons.add();
        log.debug({ services: event.services, checks: event.checks }, "compared with the catalog");
        return;
      case "blocked": {
        const kind = event.item.rows.at(-1)?.kind ?? "node";
        const act = event.item.command.kind === "register" ? "registration" : "deregistration";
        metrics.blocked.with({ kind: kind.replace("gone-", ""), act }).add();
        log.warn({ rows: event.item.rows.map(rowName), error: event.text }, "blocked by ACLs");
        return;
      }
      case "refused":
        log.warn(
          { rows: event.item.rows.map(rowName), error: event.text },
          "the catalog refused a row; the next comparison tries again",
        );
        return;
      case "unreachable":
        if (this.unreachable === undefined) {
          log.warn({ error: event.text }, "the catalog cannot be brought up to date");
        }
        this.unreachable = event.text;
        return;
      default:
        return event satisfies never;
    }
  }
}

function rowName(row: PushGroup["items"][number]["rows"][number]): string {
  return row.kind === "node" ? "node" : `${row.kind} ${row.id}`;
}
