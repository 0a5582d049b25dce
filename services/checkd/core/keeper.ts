// Puts prepared rows into the local state and takes them out, with all that goes along: the file on
// disk, the running check, the aliases that look at it.

import { Aliases } from "./aliases.ts";
import type { CheckEntry, LocalState, ServiceEntry } from "./local-state.ts";
import type { Source, SyncState } from "./model.ts";
import { sidecarId } from "./model.ts";
import type { PreparedCheck, PreparedService } from "./registrations.ts";
import type { Schedule, ScheduleEffect } from "./schedule.ts";

export type StoreEffect =
  | { kind: "save-service"; entry: ServiceEntry }
  | { kind: "forget-service"; id: string }
  | { kind: "save-check"; entry: CheckEntry }
  /** With its TTL state. */
  | { kind: "forget-check"; id: string }
  | { kind: "save-ttl"; checkId: string; status: string; output: string; ttlMs: number };

export type KeeperEffect = StoreEffect | ScheduleEffect;

export interface Origin {
  source: Source;
  /** `unknown` when it was brought back from disk or configuration at start. */
  sync: SyncState;
}

export class Keeper {
  readonly aliases: Aliases;
  readonly #local: LocalState;
  readonly #schedule: Schedule;

  constructor(local: LocalState, schedule: Schedule) {
    this.#local = local;
    this.#schedule = schedule;
    this.aliases = new Aliases(local);
  }

  /** With its sidecar; a sidecar of an earlier registration goes when the new one has none. */
  keepService(
    prepared: PreparedService,
    replaceChecks: boolean,
    origin: Origin,
    nowMs: number,
  ): KeeperEffect[] {
    const effects = this.#keepOne(prepared, false, replaceChecks, origin, nowMs);
    if (prepared.sidecar !== null) {
      effects.push(...this.#keepOne(prepared.sidecar, true, replaceChecks, origin, nowMs));
      return effects;
    }
    return [...effects, ...this.#dropSidecar(prepared.row.id, nowMs)];
  }

  #keepOne(
    prepared: PreparedService,
    isSidecar: boolean,
    replaceChecks: boolean,
    origin: Origin,
    nowMs: number,
  ): KeeperEffect[] {
    const { row, token } = prepared;
    const before = this.#local.checksOf(row.id);
    this.#local.putService(row, { ...origin, token, isSidecar });
    const effects: KeeperEffect[] = [];
    if (isStored(origin)) {
      effects.push({ kind: "save-service", entry: this.#local.services.get(row.id)! });
    }
    for (const check of prepared.checks) effects.push(...this.keepCheck(check, origin, nowMs));
    if (!replaceChecks) return effects;
    const wanted = new Set(prepared.checks.map((check) => check.row.checkId));
    for (const entry of before) {
      if (!wanted.has(entry.row.checkId)) effects.push(...this.dropCheck(entry, nowMs));
    }
    return effects;
  }

  /** As it was kept on disk: expanded already, its checks and its sidecar on their own. */
  restoreService(prepared: PreparedService, isSidecar: boolean, origin: Origin, nowMs: number) {
    return this.#keepOne(prepared, isSidecar, false, origin, nowMs);
  }

  keepCheck(prepared: PreparedCheck, origin: Origin, nowMs: number): KeeperEffect[] {
    const { row, definition, token } = prepared;
    const moved = this.#local.checks.get(row.checkId);
    if (moved !== undefined) this.aliases.forget(moved);
    const entry = this.#local.putCheck(row, { token, ...origin, definition });
    this.aliases.follow(entry);
    const effects: KeeperEffect[] = definition === null
      ? []
      : this.#schedule.step({ kind: "check-added", checkId: row.checkId, definition }, nowMs);
    const isMaintenance = definition === null && origin.sync === "dirty";
    if (isStored(origin) || isMaintenance) effects.push({ kind: "save-check", entry });
    return effects;
  }

  /** With its checks and the sidecar that was made for it. */
  dropService(id: string, nowMs: number): KeeperEffect[] {
    const effects: KeeperEffect[] = this.#local.checksOf(id)
      .flatMap((entry) => this.dropCheck(entry, nowMs));
    this.#local.removeService(id);
    return [...effects, { kind: "forget-service", id }, ...this.#dropSidecar(id, nowMs)];
  }

  #dropSidecar(parentId: string, nowMs: number): KeeperEffect[] {
    const id = sidecarId(parentId);
    return this.#local.services.get(id)?.isSidecar ? this.dropService(id, nowMs) : [];
  }

  dropCheck(entry: CheckEntry, nowMs: number): KeeperEffect[] {
    const { checkId } = entry.row;
    this.aliases.forget(entry);
    this.#local.removeCheck(checkId);
    return [
      ...this.#schedule.step({ kind: "check-removed", checkId }, nowMs),
      { kind: "forget-check", id: checkId },
    ];
  }
}

function isStored(origin: Origin): boolean {
  return origin.source === "remote" && origin.sync === "dirty";
}
