// Anti-entropy: when to compare with the catalog, when to push, when to try again (Consul's
// periods and scaling). Rows and marks are in local-state.ts, what a push holds in push.ts.

import type { ErrorCode } from "#shared/errors.ts";
import type { Machine } from "#shared/machine.ts";
import type { Random } from "#shared/random.ts";
import { compare } from "./diff.ts";
import type { LocalState } from "./local-state.ts";
import type { CatalogView } from "./model.ts";
import type { PushGroup, PushItem, PushTokens } from "./push.ts";
import { planPush, refuseItem, settleItem } from "./push.ts";

export interface SyncSettings {
  /** Between two comparisons; a random part of the same length, scaled, comes on top. */
  intervalMs: number;
  /** How long a change of output alone may wait; 0: not at all. */
  outputIntervalMs: number;
  tokens: PushTokens;
  /** The daemon was away only shortly: results that the catalog holds stand until the first new. */
  adoptResults: boolean;
}

export type SyncInput =
  | { kind: "started" }
  | { kind: "local-changed" }
  | { kind: "output-changed"; checkId: string }
  | { kind: "catalog-read"; catalog: CatalogView }
  | { kind: "catalog-failed"; error: string }
  /** One answer for each item, in order; null: done. */
  | { kind: "pushed"; outcomes: (PushRefusal | null)[] }
  | { kind: "push-failed"; error: string }
  | { kind: "timer-fired"; timer: string }
  /** A server joined, or the datacenter has a new leader. */
  | { kind: "server-up" }
  /** The connection to the state is back. */
  | { kind: "reconnected" }
  | { kind: "sync-requested" }
  | { kind: "members-counted"; count: number }
  | { kind: "paused" }
  | { kind: "resumed" };

export interface PushRefusal {
  code: ErrorCode;
  text: string;
}

export type SyncEffect =
  | { kind: "read-catalog" }
  | { kind: "push"; group: PushGroup }
  /** Replaces an earlier timer of that name. */
  | { kind: "set-timer"; timer: string; afterMs: number }
  /** All changes up to this revision have been pushed, or (not ok) could not be. */
  | { kind: "settled"; revision: number; isOk: boolean }
  | { kind: "report"; event: SyncEvent };

export type SyncEvent =
  | { kind: "synced-all"; services: number; checks: number }
  | { kind: "blocked"; item: PushItem; text: string }
  | { kind: "refused"; item: PushItem; text: string }
  | { kind: "unreachable"; text: string; againInMs: number };

const retryMs = 15_000;
const firstRetryMs = 250;
const serverUpStaggerMs = 3_000;

export class Sync implements Machine<SyncInput, SyncEffect> {
  readonly #local: LocalState;
  readonly #settings: SyncSettings;
  readonly #random: Random;
  #activity: "idle" | "reading" | "pushing" = "idle";
  #wantsFull = false;
  #groups: PushGroup[] = [];
  #roundRevision = 0;
  /** A push or a read failed and the retry timer runs. */
  #isBackingOff = false;
  #failures = 0;
  #pauses = 0;
  #scale = 1;
  #hasCompared = false;

  constructor(local: LocalState, settings: SyncSettings, random: Random) {
    this.#local = local;
    this.#settings = settings;
    this.#random = random;
  }

  /** Whether a change that was made now would soon be pushed (`busy`), has been (`in-step`), or
   *  waits for servers that did not answer the last time (`away`). */
  get standing(): "in-step" | "busy" | "away" {
    if (this.#isBackingOff || this.#failures > 0) return "away";
    return this.#local.isDirty || !this.#hasCompared ? "busy" : "in-step";
  }

  step(input: SyncInput, _nowMs: number): SyncEffect[] {
    switch (input.kind) {
      case "started":
        this.#wantsFull = true;
        return this.#pump();
      case "local-changed":
        return this.#pump();
      case "output-changed":
        return this.#deferOutput(input.checkId);
      case "catalog-read":
        return this.#compared(input.catalog);
      case "catalog-failed":
        this.#activity = "idle";
        return this.#backOff(input.error);
      case "pushed":
        return this.#pushed(input.outcomes);
      case "push-failed":
        this.#activity = "idle";
        this.#groups = [];
        return this.#backOff(input.error);
      case "timer-fired":
        return this.#timerFired(input.timer);
      case "server-up":
        return [this.#timer("full", this.#random.between(0, serverUpStaggerMs * this.#scale))];
      case "reconnected":
        return this.#isBackingOff ? this.#retry() : [];
      case "sync-requested":
        this.#wantsFull = true;
        return this.#retry();
      case "members-counted":
        this.#scale = scaleOf(input.count);
        return [];
      case "paused":
        this.#pauses++;
        return [];
      case "resumed":
        this.#pauses--;
        return this.#pump();
      default:
        return input satisfies never;
    }
  }

  #pump(): SyncEffect[] {
    if (this.#activity !== "idle" || this.#pauses > 0) return [];
    // Whoever waits for a push must not wait for servers that are known to be away.
    if (this.#isBackingOff) {
      return [{ kind: "settled", revision: this.#local.revision, isOk: false }];
    }
    // What was declared just now goes before the comparison of all.
    if (this.#local.isDirty) {
      this.#roundRevision = this.#local.revision;
      this.#groups = planPush(this.#local, this.#settings.tokens);
      return this.#pushNext();
    }
    if (this.#wantsFull) {
      this.#activity = "reading";
      return [{ kind: "read-catalog" }];
    }
    return [{ kind: "settled", revision: this.#local.revision, isOk: true }];
  }

  #pushNext(): SyncEffect[] {
    const group = this.#groups[0];
    if (group !== undefined) {
      this.#activity = "pushing";
      return [{ kind: "push", group }];
    }
    this.#activity = "idle";
    this.#failures = 0;
    if (this.#local.isDirty || this.#wantsFull) {
      // A round that was too large for all goes on before anyone is told.
      const isWhole = !this.#local.isDirty || this.#local.revision > this.#roundRevision;
      const effects: SyncEffect[] = isWhole
        ? [{ kind: "settled", revision: this.#roundRevision, isOk: true }]
        : [];
      return [...effects, ...this.#pump()];
    }
    return [{ kind: "settled", revision: this.#local.revision, isOk: true }];
  }

  #pushed(outcomes: (PushRefusal | null)[]): SyncEffect[] {
    const group = this.#groups.shift();
    if (group === undefined) return [];
    const effects: SyncEffect[] = [];
    let unreachable: string | undefined;
    for (const [i, item] of group.items.entries()) {
      const refusal = outcomes[i] ?? null;
      if (refusal === null || isUnknownRow(item, refusal)) {
        settleItem(this.#local, item);
      } else if (refusal.code === "permission-denied") {
        settleItem(this.#local, item);
        effects.push({ kind: "report", event: { kind: "blocked", item, text: refusal.text } });
      } else if (isTransient(refusal.code)) {
        unreachable = refusal.text;
      } else {
        refuseItem(this.#local, item);
        effects.push({ kind: "report", event: { kind: "refused", item, text: refusal.text } });
      }
    }
    if (unreachable === undefined) return [...effects, ...this.#pushNext()];
    this.#activity = "idle";
    this.#groups = [];
    return [...effects, ...this.#backOff(unreachable)];
  }

  #compared(catalog: CatalogView): SyncEffect[] {
    this.#activity = "idle";
    this.#wantsFull = false;
    this.#failures = 0;
    compare(this.#local, catalog, this.#settings.adoptResults && !this.#hasCompared);
    this.#hasCompared = true;
    const { services, checks } = this.#local;
    const event = {
      kind: "synced-all" as const,
      services: services.size,
      checks: checks.size,
    };
    const againMs = this.#settings.intervalMs * (1 + this.#random.fraction() * this.#scale);
    return [{ kind: "report", event }, this.#timer("full", againMs), ...this.#pump()];
  }

  #deferOutput(checkId: string): SyncEffect[] {
    const entry = this.#local.checks.get(checkId);
    if (entry === undefined) return [];
    const maxMs = this.#settings.outputIntervalMs;
    if (maxMs === 0) {
      this.#local.markCheck(entry);
      return this.#pump();
    }
    if (entry.isOutputDeferred) return [];
    entry.isOutputDeferred = true;
    return [this.#timer(`output:${checkId}`, maxMs / 2 + this.#random.between(0, maxMs))];
  }

  #timerFired(timer: string): SyncEffect[] {
    if (timer === "full") {
      this.#wantsFull = true;
      return this.#isBackingOff ? [] : this.#pump();
    }
    if (timer === "retry") return this.#isBackingOff ? this.#retry() : [];
    const entry = this.#local.checks.get(timer.slice("output:".length));
    if (entry === undefined || !entry.isOutputDeferred) return [];
    this.#local.markCheck(entry);
    return this.#pump();
  }

  #retry(): SyncEffect[] {
    this.#isBackingOff = false;
    return this.#pump();
  }

  /** Short first, because most often a daemon or the leader is only being replaced; in the end as
   *  rare as Consul's, so that a large cluster does not storm a server that returns. */
  #backOff(error: string): SyncEffect[] {
    this.#isBackingOff = true;
    const shortMs = firstRetryMs * 2 ** this.#failures;
    this.#failures = Math.min(this.#failures + 1, 16);
    const afterMs = shortMs < retryMs
      ? shortMs * this.#random.between(1, 1 + this.#scale)
      : retryMs + this.#random.between(0, retryMs * this.#scale);
    return [
      this.#timer("retry", afterMs),
      { kind: "report", event: { kind: "unreachable", text: error, againInMs: afterMs } },
      { kind: "settled", revision: this.#local.revision, isOk: false },
    ];
  }

  #timer(timer: string, afterMs: number): SyncEffect {
    return { kind: "set-timer", timer, afterMs };
  }
}

/** How much rarer the random parts get in a large pool. */
export function scaleOf(members: number): number {
  return members <= 128 ? 1 : Math.ceil(Math.log2(members) - 7) + 1;
}

/** The catalog did not have what should go: that is what was wanted. */
function isUnknownRow(item: PushItem, refusal: PushRefusal): boolean {
  return item.command.kind !== "register" &&
    (refusal.code === "not-found" || /Unknown (service|check|node)/.test(refusal.text));
}

const transientCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "no-leader",
  "outcome-unknown",
  "deadline-exceeded",
  "cancelled",
  "overloaded",
  "unavailable",
  "disk-full",
  "no-servers",
  "no-path-to-datacenter",
  "not-ready",
]);

/** Worth another try later; everything else is refused for good. */
export function isTransient(code: ErrorCode): boolean {
  return transientCodes.has(code);
}
