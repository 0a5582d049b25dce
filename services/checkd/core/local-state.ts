// What this agent declared, and how each row stands against the catalog. The agent is the authority
// for its own services and checks; the servers hold a copy (Consul, anti-entropy).

import type { CheckDefinition } from "#shared/config/definitions.ts";
import type { CheckRow, NodeRow, ServiceRow, Source, SyncState } from "./model.ts";

export interface ServiceEntry {
  row: ServiceRow;
  token: string;
  source: Source;
  /** Made from a sidecar block: goes with its parent. */
  isSidecar: boolean;
  sync: SyncState;
  /** Grows with each change, so that an answer to an older push is told from the latest. */
  revision: number;
}

export interface CheckEntry {
  row: CheckRow;
  /** None: a maintenance check. */
  definition: CheckDefinition | null;
  token: string;
  source: Source;
  sync: SyncState;
  revision: number;
  criticalSinceMs: number | undefined;
  /** It has a result of its own since the daemon started. */
  isProven: boolean;
  /** Its new output waits for a timer before it is pushed. */
  isOutputDeferred: boolean;
}

export interface Declared {
  token: string;
  source: Source;
  /** `unknown` for what a restart brings back: the first comparison tells what to push. */
  sync: SyncState;
}

/** A row that the catalog must lose. */
interface Gone {
  serviceId: string;
  revision: number;
}

export class LocalState {
  readonly services = new Map<string, ServiceEntry>();
  readonly checks = new Map<string, CheckEntry>();
  readonly dirtyServices = new Set<string>();
  readonly dirtyChecks = new Set<string>();
  readonly goneServices = new Map<string, Gone>();
  readonly goneChecks = new Map<string, Gone>();
  readonly #checksOf = new Map<string, Set<string>>();
  node: NodeRow;
  nodeSync: SyncState = "unknown";
  #revision = 0;
  #version = 1;

  constructor(node: NodeRow) {
    this.node = node;
  }

  /** Moves with every change that a reader of the agent can see. */
  get version(): number {
    return this.#version;
  }

  /** The newest change that needs a push. */
  get revision(): number {
    return this.#revision;
  }

  get isDirty(): boolean {
    return this.nodeSync === "dirty" || this.dirtyServices.size > 0 ||
      this.dirtyChecks.size > 0 || this.goneServices.size > 0 || this.goneChecks.size > 0;
  }

  putService(row: ServiceRow, declared: Declared & { isSidecar: boolean }): void {
    this.goneServices.delete(row.id);
    const renamed = this.services.get(row.id);
    this.services.set(row.id, { ...declared, row, revision: ++this.#revision });
    if (declared.sync === "dirty") this.dirtyServices.add(row.id);
    this.#version++;
    if (renamed !== undefined) this.#followService(row);
  }

  removeService(id: string): void {
    for (const check of this.checksOf(id)) this.removeCheck(check.row.checkId);
    if (!this.services.delete(id)) return;
    this.dirtyServices.delete(id);
    this.goneServices.set(id, { serviceId: id, revision: ++this.#revision });
    this.#version++;
  }

  putCheck(row: CheckRow, declared: Declared & { definition: CheckDefinition | null }): CheckEntry {
    const before = this.checks.get(row.checkId);
    if (before !== undefined) this.#unindex(before.row);
    this.goneChecks.delete(row.checkId);
    const entry: CheckEntry = {
      ...declared,
      row,
      revision: ++this.#revision,
      criticalSinceMs: undefined,
      isProven: before?.isProven ?? false,
      isOutputDeferred: false,
    };
    this.checks.set(row.checkId, entry);
    this.#index(row);
    if (declared.sync === "dirty") this.dirtyChecks.add(row.checkId);
    this.#version++;
    return entry;
  }

  removeCheck(id: string): void {
    const entry = this.checks.get(id);
    if (entry === undefined) return;
    this.checks.delete(id);
    this.#unindex(entry.row);
    this.dirtyChecks.delete(id);
    this.goneChecks.set(id, { serviceId: entry.row.serviceId, revision: ++this.#revision });
    this.#version++;
  }

  /** Checks of a service, in the order of registration; "": those of the node. */
  checksOf(serviceId: string): CheckEntry[] {
    const ids = this.#checksOf.get(serviceId);
    return ids === undefined ? [] : [...ids].map((id) => this.checks.get(id)!);
  }

  /** Takes a result. Says whether the status changed, only the output, or nothing. */
  setResult(
    id: string,
    status: string,
    output: string,
    nowMs: number,
  ): "none" | "output" | "status" {
    const entry = this.checks.get(id);
    if (entry === undefined) return "none";
    entry.isProven = true;
    if (status !== "critical") entry.criticalSinceMs = undefined;
    else entry.criticalSinceMs ??= nowMs;
    if (entry.row.status === status && entry.row.output === output) return "none";
    const change = entry.row.status === status ? "output" : "status";
    entry.row = { ...entry.row, status, output };
    this.#version++;
    return change;
  }

  markService(entry: ServiceEntry): void {
    entry.sync = "dirty";
    entry.revision = ++this.#revision;
    this.dirtyServices.add(entry.row.id);
  }

  markCheck(entry: CheckEntry): void {
    entry.sync = "dirty";
    entry.revision = ++this.#revision;
    entry.isOutputDeferred = false;
    this.dirtyChecks.add(entry.row.checkId);
  }

  markGone(kind: "service" | "check", id: string, serviceId: string): void {
    const gone = { serviceId, revision: ++this.#revision };
    if (kind === "service") this.goneServices.set(id, gone);
    else this.goneChecks.set(id, gone);
  }

  setNode(node: NodeRow): void {
    this.node = node;
    this.nodeSync = "dirty";
    this.#revision++;
  }

  /** Rows of a service that others may change (tags): its checks show them too. */
  changeRow(entry: ServiceEntry, row: ServiceRow): void {
    entry.row = row;
    this.#version++;
    this.#followService(row);
  }

  #followService(row: ServiceRow): void {
    for (const check of this.checksOf(row.id)) {
      const same = check.row.serviceName === row.service &&
        check.row.serviceTags.join("\n") === row.tags.join("\n");
      if (same) continue;
      check.row = { ...check.row, serviceName: row.service, serviceTags: row.tags };
      if (check.sync === "synced") this.markCheck(check);
    }
  }

  #index(row: CheckRow): void {
    let ids = this.#checksOf.get(row.serviceId);
    if (ids === undefined) this.#checksOf.set(row.serviceId, ids = new Set());
    ids.add(row.checkId);
  }

  #unindex(row: CheckRow): void {
    const ids = this.#checksOf.get(row.serviceId);
    ids?.delete(row.checkId);
    if (ids?.size === 0) this.#checksOf.delete(row.serviceId);
  }
}
