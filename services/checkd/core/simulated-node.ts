// One agent in virtual time beside a model of the catalog that can be slow, away or refuse: for tests.

import type { CheckDefinition } from "#shared/config/definitions.ts";
import { Random } from "#shared/random.ts";
import { Agent, type AgentEffect, type AgentSettings } from "./agent.ts";
import type { CheckRow, NodeRow, ServiceRow } from "./model.ts";
import { emptyService } from "./model.ts";
import type { CatalogCommand, PushItem } from "./push.ts";
import type { ProbeResult } from "./schedule.ts";
import type { PushRefusal } from "./sync.ts";

export const testNode: NodeRow = {
  id: "11111111-2222-3333-4444-555555555555",
  node: "n1",
  address: "127.0.0.1",
  datacenter: "dc1",
  taggedAddresses: { lan: "127.0.0.1" },
  meta: { "consul-network-segment": "" },
  localityJson: "",
};

export const testSettings: AgentSettings = {
  node: testNode,
  rules: {
    enableLocalScripts: false,
    enableRemoteScripts: false,
    sidecarPorts: { min: 21000, max: 21255 },
  },
  sync: {
    intervalMs: 60_000,
    outputIntervalMs: 300_000,
    tokens: { agent: "", default: "", configFile: "" },
    adoptResults: false,
  },
  outputSizeMax: 4096,
  discardOutput: false,
  reapIntervalMs: 30_000,
  deregisterMinMs: 60_000,
};

/** The servers' copy of the node. */
export class CatalogModel {
  node: NodeRow | null = null;
  readonly services = new Map<string, ServiceRow>();
  readonly checks = new Map<string, CheckRow>();
  readonly commands: CatalogCommand[] = [];
  refuse: (command: CatalogCommand) => PushRefusal | null = () => null;

  apply({ command }: PushItem): PushRefusal | null {
    this.commands.push(command);
    const refusal = this.refuse(command);
    if (refusal !== null) return refusal;
    if (command.kind === "deregister-service") {
      this.services.delete(command.serviceId);
      for (const check of [...this.checks.values()]) {
        if (check.serviceId === command.serviceId) this.checks.delete(check.checkId);
      }
      return null;
    }
    if (command.kind === "deregister-check") {
      this.checks.delete(command.checkId);
      return null;
    }
    if (!command.skipNodeUpdate) this.node = command.node;
    if (this.node === null) return { code: "failed-precondition", text: "no such node" };
    if (command.service !== null) this.services.set(command.service.id, command.service);
    for (const check of command.checks) {
      const missing = check.serviceId !== "" && !this.services.has(check.serviceId);
      if (missing) return { code: "failed-precondition", text: "Missing service registration" };
      this.checks.set(check.checkId, check);
    }
    return null;
  }
}

interface Due {
  atMs: number;
  order: number;
  run: () => void;
}

export class SimulatedNode {
  readonly agent: Agent;
  readonly catalog: CatalogModel;
  nowMs = 0;
  latencyMs = 1;
  isCatalogAway = false;
  /** What a probe finds; by default all is well. */
  probe: (definition: CheckDefinition) => ProbeResult = () => ({
    status: "passing",
    output: "fine",
    isFinal: false,
  });
  readonly effects: AgentEffect[] = [];
  readonly probesAtMs: number[] = [];
  readonly #timers = new Map<string, Due>();
  #queue: Due[] = [];
  #order = 0;
  #isPushing = false;

  constructor(
    change: Partial<AgentSettings> = {},
    seed = 1,
    catalog: CatalogModel = new CatalogModel(),
  ) {
    this.agent = new Agent({ ...testSettings, ...change }, new Random(seed));
    this.catalog = catalog;
  }

  /** Does what a command or an input orders. */
  do(effects: AgentEffect[]): void {
    for (const effect of effects) {
      this.effects.push(effect);
      this.#perform(effect);
    }
  }

  start(): void {
    this.do(this.agent.start(this.nowMs));
  }

  run(forMs: number): void {
    const untilMs = this.nowMs + forMs;
    for (;;) {
      this.#queue.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
      const due = this.#queue[0];
      if (due === undefined || due.atMs > untilMs) break;
      this.#queue.shift();
      this.nowMs = due.atMs;
      due.run();
    }
    this.nowMs = untilMs;
  }

  #perform(effect: AgentEffect): void {
    switch (effect.kind) {
      case "set-timer":
        return this.#setTimer(effect.timer, effect.afterMs);
      case "clear-timer":
        return this.#clearTimer(effect.timer);
      case "read-catalog":
        return void this.#later(this.latencyMs, () => this.#answerRead());
      case "push":
        if (this.#isPushing) throw new Error("two pushes at once could overtake each other");
        this.#isPushing = true;
        return void this.#later(this.latencyMs, () => this.#answerPush(effect.group.items));
      case "probe": {
        this.probesAtMs.push(this.nowMs);
        const { checkId, run, definition } = effect;
        const result = this.probe(definition);
        return void this.#later(1, () =>
          this.do(this.agent.schedule(
            { kind: "probed", checkId, run, result, isLast: true },
            this.nowMs,
          )));
      }
      default:
    }
  }

  #answerRead(): void {
    const { node, services, checks } = this.catalog;
    this.do(this.agent.sync(
      this.isCatalogAway ? { kind: "catalog-failed", error: "away" } : {
        kind: "catalog-read",
        catalog: { node, services: [...services.values()], checks: [...checks.values()] },
      },
      this.nowMs,
    ));
  }

  #answerPush(items: PushItem[]): void {
    this.#isPushing = false;
    this.do(this.agent.sync(
      this.isCatalogAway
        ? { kind: "push-failed", error: "away" }
        : { kind: "pushed", outcomes: items.map((item) => this.catalog.apply(item)) },
      this.nowMs,
    ));
  }

  #setTimer(timer: string, afterMs: number): void {
    this.#clearTimer(timer);
    const due = this.#later(afterMs, () => {
      this.#timers.delete(timer);
      this.do(this.agent.timerFired(timer, this.nowMs));
    });
    this.#timers.set(timer, due);
  }

  #clearTimer(timer: string): void {
    const due = this.#timers.get(timer);
    if (due === undefined) return;
    this.#timers.delete(timer);
    this.#queue = this.#queue.filter((other) => other !== due);
  }

  #later(afterMs: number, run: () => void): Due {
    const due = { atMs: this.nowMs + afterMs, order: this.#order++, run };
    this.#queue.push(due);
    return due;
  }
}

export function service(name: string, change: Partial<ServiceRow> = {}): ServiceRow {
  return { ...emptyService(), service: name, ...change };
}
