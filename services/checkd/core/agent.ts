// The agent as one machine: what was asked for goes into the local state, the schedule runs the
// checks, the synchroniser keeps the catalog equal. Commands throw CuriaError when refused, before
// anything changed.

import type { CheckDefinition } from "#shared/config/definitions.ts";
import { CuriaError } from "#shared/errors.ts";
import type { Random } from "#shared/random.ts";
import { refuseUnrunnable } from "./check-rules.ts";
import { type ConfigDefinitions, leftovers } from "./config-definitions.ts";
import { Keeper, type KeeperEffect, type Origin } from "./keeper.ts";
import { type CheckEntry, LocalState } from "./local-state.ts";
import type { NodeRow, ServiceRegistration, ServiceRow, Source } from "./model.ts";
import { isStatus, nodeMaintenance, serviceMaintenance } from "./model.ts";
import { type Due, dueServices } from "./reap.ts";
import {
  maintenanceCheck,
  prepareCheck,
  type PreparedCheck,
  prepareService,
  type RegistrationRules,
  unknownCheck,
  unknownService,
} from "./registrations.ts";
import { Schedule, type ScheduleInput } from "./schedule.ts";
import { Sync, type SyncEffect, type SyncInput, type SyncSettings } from "./sync.ts";

export interface AgentSettings {
  node: NodeRow;
  rules: RegistrationRules;
  sync: SyncSettings;
  outputSizeMax: number;
  discardOutput: boolean;
  reapIntervalMs: number;
  deregisterMinMs: number;
}

export type AgentEffect = SyncEffect | KeeperEffect | { kind: "reaped"; due: Due };

/** Registered over the API: kept on disk and pushed at once. */
export const overApi: Origin = { source: "remote", sync: "dirty" };
const aliasRefreshMs = 60_000;

export class Agent {
  readonly local: LocalState;
  #settings: AgentSettings;
  readonly #schedule: Schedule;
  readonly #sync: Sync;
  readonly #keeper: Keeper;
  #isStarted = false;

  constructor(settings: AgentSettings, random: Random) {
    this.#settings = settings;
    this.local = new LocalState(settings.node);
    this.#schedule = new Schedule({ outputSizeMax: settings.outputSizeMax }, random.split());
    this.#sync = new Sync(this.local, settings.sync, random.split());
    this.#keeper = new Keeper(this.local, this.#schedule);
  }

  get standing(): Sync["standing"] {
    return this.#sync.standing;
  }

  /** After all that was kept is back: until then nothing is pushed. */
  start(nowMs: number): AgentEffect[] {
    this.#isStarted = true;
    return [
      { kind: "set-timer", timer: "reap", afterMs: this.#settings.reapIntervalMs },
      { kind: "set-timer", timer: "alias", afterMs: aliasRefreshMs },
      ...this.#sync.step({ kind: "started" }, nowMs),
    ];
  }

  sync(input: SyncInput, nowMs: number): AgentEffect[] {
    const effects: AgentEffect[] = this.#sync.step(input, nowMs);
    if (input.kind !== "catalog-read") return effects;
    // Aliases are judged only after a short absence's results were taken over from the catalog.
    return [...effects, ...this.#changed("", nowMs)];
  }

  registerService(
    registration: ServiceRegistration,
    replaceChecks: boolean,
    origin: Origin,
    nowMs: number,
  ): AgentEffect[] {
    const prepared = prepareService(registration, origin.source, this.local, this.#settings.rules);
    const effects = this.#keeper.keepService(prepared, replaceChecks, origin, nowMs);
    return [...effects, ...this.#changed(prepared.row.id, nowMs)];
  }

  deregisterService(id: string, nowMs: number): AgentEffect[] {
    if (!this.local.services.has(id)) throw unknownService(id);
    const effects = this.#keeper.dropService(id, nowMs);
    return [...effects, ...this.#changed(id, nowMs)];
  }

  registerCheck(
    definition: CheckDefinition,
    token: string,
    origin: Origin,
    nowMs: number,
  ): AgentEffect[] {
    const { rules } = this.#settings;
    const prepared = prepareCheck(definition, token, origin.source, this.local, rules);
    const effects = this.#keeper.keepCheck(prepared, origin, nowMs);
    return [...effects, ...this.#changed(prepared.row.serviceId, nowMs)];
  }

  deregisterCheck(id: string, nowMs: number): AgentEffect[] {
    const entry = this.local.checks.get(id);
    if (entry === undefined) throw unknownCheck(id);
    const effects = this.#keeper.dropCheck(entry, nowMs);
    return [...effects, ...this.#changed(entry.row.serviceId, nowMs)];
  }

  updateTtl(checkId: string, status: string, note: string, nowMs: number): AgentEffect[] {
    if (!isStatus(status)) {
      throw new CuriaError("invalid-argument", `Invalid check status: '${status}'`);
    }
    const entry = this.local.checks.get(checkId);
    if (entry === undefined) throw unknownCheck(checkId);
    if (!this.#schedule.isTtl(checkId)) {
      throw new CuriaError(
        "failed-precondition",
        `CheckID "${checkId}" does not have associated TTL`,
      );
    }
    const effects = this.schedule({ kind: "noted", checkId, status, note }, nowMs);
    const { output } = entry.row;
    const ttlMs = entry.definition!.ttlMs;
    return [...effects, { kind: "save-ttl", checkId, status, output, ttlMs }];
  }

  /** Puts a TTL check back to where it was before a restart. */
  restoreTtl(checkId: string, status: string, output: string): void {
    const entry = this.local.checks.get(checkId);
    if (entry === undefined || !this.#schedule.isTtl(checkId)) return;
    entry.row = { ...entry.row, status, output };
  }

  /** Service "" is the node. The first reason stays when it is asked for twice. */
  setMaintenance(
    serviceId: string,
    isEnabled: boolean,
    reason: string,
    token: string,
    nowMs: number,
  ): AgentEffect[] {
    const service = this.local.services.get(serviceId)?.row ?? null;
    if (serviceId !== "" && service === null) throw unknownService(serviceId);
    const checkId = serviceId === "" ? nodeMaintenance : serviceMaintenance(serviceId);
    const entry = this.local.checks.get(checkId);
    if (isEnabled === (entry !== undefined)) return [];
    const effects = entry !== undefined
      ? this.#keeper.dropCheck(entry, nowMs)
      : this.#keeper.keepCheck(
        { row: maintenanceCheck(service, reason), definition: null, token },
        { source: "local", sync: "dirty" },
        nowMs,
      );
    return [...effects, ...this.#changed(serviceId, nowMs)];
  }

  /** A service as it was kept on disk, sidecars included. */
  restoreService(
    row: ServiceRow,
    kept: { token: string; isSidecar: boolean } & Origin,
    nowMs: number,
  ) {
    const prepared = { row, token: kept.token, checks: [], sidecar: null };
    return this.#keeper.restoreService(prepared, kept.isSidecar, kept, nowMs);
  }

  /** A check as it was kept on disk; one without definition is maintenance. */
  restoreCheck(prepared: PreparedCheck, source: Source, nowMs: number): AgentEffect[] {
    const { definition } = prepared;
    if (definition !== null) refuseUnrunnable(definition, source, this.#settings.rules);
    return this.#keeper.keepCheck(prepared, { source, sync: "unknown" }, nowMs);
  }

  /** Takes new settings and what the configuration declares; the catalog sees only differences. */
  reload(
    settings: AgentSettings,
    before: ConfigDefinitions,
    after: ConfigDefinitions,
    nowMs: number,
  ) {
    this.#settings = settings;
    const effects: AgentEffect[] = this.#sync.step({ kind: "paused" }, nowMs);
    if (JSON.stringify(settings.node) !== JSON.stringify(this.local.node)) {
      this.local.setNode(settings.node);
    }
    const gone = leftovers(this.local, before, after);
    for (const id of gone.services) effects.push(...this.#keeper.dropService(id, nowMs));
    for (const entry of gone.checks) effects.push(...this.#keeper.dropCheck(entry, nowMs));
    return [...effects, ...this.#sync.step({ kind: "resumed" }, nowMs)];
  }

  schedule(input: ScheduleInput, nowMs: number): AgentEffect[] {
    return this.#schedule.step(input, nowMs).flatMap((effect) =>
      effect.kind === "result"
        ? this.#result(effect.checkId, effect.status, effect.output, nowMs)
        : [effect]
    );
  }

  timerFired(timer: string, nowMs: number): AgentEffect[] {
    if (timer === "reap") return this.#reap(nowMs);
    if (timer === "alias") {
      const again = { kind: "set-timer", timer, afterMs: aliasRefreshMs } as const;
      return [again, ...this.#changed("", nowMs)];
    }
    if (timer.startsWith("run:") || timer.startsWith("expire:")) {
      return this.schedule({ kind: "timer-fired", timer }, nowMs);
    }
    return this.#sync.step({ kind: "timer-fired", timer }, nowMs);
  }

  #result(checkId: string, status: string, output: string, nowMs: number): AgentEffect[] {
    const entry = this.#take(checkId, status, output, nowMs);
    if (entry === undefined) return [];
    const deferred: AgentEffect[] = entry.sync === "dirty"
      ? []
      : this.#sync.step({ kind: "output-changed", checkId }, nowMs);
    return [...deferred, ...this.#changed(entry.row.serviceId, nowMs)];
  }

  /** Undefined: nothing changed. */
  #take(checkId: string, status: string, output: string, nowMs: number): CheckEntry | undefined {
    const shown = this.#settings.discardOutput ? "" : output;
    const change = this.local.setResult(checkId, status, shown, nowMs);
    if (change === "none") return undefined;
    const entry = this.local.checks.get(checkId)!;
    if (change === "status") this.local.markCheck(entry);
    return entry;
  }

  /** Checks of this service (or "": of the node) changed: judges aliases, then pushes. Each alias
   *  is judged once, so that a ring of them comes to rest. */
  #changed(serviceId: string, nowMs: number): AgentEffect[] {
    if (!this.#isStarted) return [];
    const effects: AgentEffect[] = [];
    const { aliases } = this.#keeper;
    const queue = [...aliases.of(serviceId), ...aliases.ownedBy(serviceId)];
    const seen = new Set(queue);
    for (let checkId = queue.shift(); checkId !== undefined; checkId = queue.shift()) {
      const verdict = aliases.judge(checkId);
      const output = verdict.output.slice(0, this.#settings.outputSizeMax);
      const entry = this.#take(checkId, verdict.status, output, nowMs);
      if (entry === undefined) continue;
      if (entry.sync !== "dirty") {
        effects.push(...this.#sync.step({ kind: "output-changed", checkId }, nowMs));
      }
      for (const next of aliases.of(entry.row.serviceId)) {
        if (!seen.has(next)) queue.push(next);
        seen.add(next);
      }
    }
    return [...effects, ...this.#sync.step({ kind: "local-changed" }, nowMs)];
  }

  #reap(nowMs: number): AgentEffect[] {
    const { reapIntervalMs, deregisterMinMs } = this.#settings;
    const again = { kind: "set-timer", timer: "reap", afterMs: reapIntervalMs } as const;
    const effects: AgentEffect[] = [again];
    for (const due of dueServices(this.local, deregisterMinMs, nowMs)) {
      effects.push({ kind: "reaped", due }, ...this.deregisterService(due.serviceId, nowMs));
    }
    return effects;
  }
}
