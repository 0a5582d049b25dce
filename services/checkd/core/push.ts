// What is sent to the catalog in one round: out-of-step rows as commands, grouped by the token
// that stands for them.

import type { LocalState } from "./local-state.ts";
import type { CheckRow, NodeRow, ServiceRow, SyncState } from "./model.ts";

export type CatalogCommand =
  | {
    kind: "register";
    node: NodeRow;
    service: ServiceRow | null;
    checks: CheckRow[];
    skipNodeUpdate: boolean;
  }
  | { kind: "deregister-service"; serviceId: string }
  | { kind: "deregister-check"; checkId: string };

/** A row that a command carries, at the revision that was read. */
export type PushedRow =
  | { kind: "node"; node: NodeRow }
  | { kind: "service"; id: string; revision: number }
  | { kind: "check"; id: string; revision: number }
  | { kind: "gone-service"; id: string; revision: number }
  | { kind: "gone-check"; id: string; revision: number };

export interface PushItem {
  command: CatalogCommand;
  rows: PushedRow[];
}

export interface PushGroup {
  token: string;
  items: PushItem[];
}

export interface PushTokens {
  /** For the node's own row and for what goes. */
  agent: string;
  /** For rows that came without one. */
  default: string;
  configFile: string;
}

const itemsMax = 512;

/** The next round; empty when all is in step. Order: node, services with their checks, checks. */
export function planPush(local: LocalState, tokens: PushTokens): PushGroup[] {
  const plan = new Plan();
  const agentToken = tokens.agent || tokens.default;
  const tokenOf = (entry: { token: string; source: string }) =>
    entry.token || (entry.source === "local" ? tokens.configFile : "") || tokens.default;
  if (local.nodeSync === "dirty") {
    plan.add(agentToken, {
      command: { ...register(local, null, []), skipNodeUpdate: false },
      rows: [{ kind: "node", node: local.node }],
    });
  }
  const sent = new Set<string>();
  for (const id of local.dirtyServices) {
    if (plan.isFull) break;
    const entry = local.services.get(id)!;
    const token = tokenOf(entry);
    const checks = local.checksOf(id).filter((check) =>
      local.dirtyChecks.has(check.row.checkId) && tokenOf(check) === token
    );
    for (const check of checks) sent.add(check.row.checkId);
    plan.add(token, {
      command: register(local, entry.row, checks.map((check) => check.row)),
      rows: [
        ...nodeRows(local),
        { kind: "service", id, revision: entry.revision },
        ...checks.map((check) => ({
          kind: "check" as const,
          id: check.row.checkId,
          revision: check.revision,
        })),
      ],
    });
  }
  for (const id of local.dirtyChecks) {
    if (plan.isFull) break;
    if (sent.has(id)) continue;
    const entry = local.checks.get(id)!;
    plan.add(tokenOf(entry), {
      command: register(local, null, [entry.row]),
      rows: [...nodeRows(local), { kind: "check", id, revision: entry.revision }],
    });
  }
  planDeregistrations(local, plan, agentToken);
  return plan.groups;
}

/** A service takes its checks with it, so those need no command of their own. */
function planDeregistrations(local: LocalState, plan: Plan, token: string): void {
  const taken = new Set<string>();
  for (const [id, gone] of local.goneServices) {
    if (plan.isFull) return;
    const rows: PushedRow[] = [{ kind: "gone-service", id, revision: gone.revision }];
    for (const [checkId, check] of local.goneChecks) {
      if (check.serviceId !== id) continue;
      taken.add(checkId);
      rows.push({ kind: "gone-check", id: checkId, revision: check.revision });
    }
    plan.add(token, { command: { kind: "deregister-service", serviceId: id }, rows });
  }
  for (const [id, gone] of local.goneChecks) {
    if (plan.isFull) return;
    if (taken.has(id)) continue;
    plan.add(token, {
      command: { kind: "deregister-check", checkId: id },
      rows: [{ kind: "gone-check", id, revision: gone.revision }],
    });
  }
}

class Plan {
  readonly groups: PushGroup[] = [];
  #count = 0;

  get isFull(): boolean {
    return this.#count >= itemsMax;
  }

  add(token: string, item: PushItem): void {
    this.#count++;
    const group = this.groups.find((candidate) => candidate.token === token);
    if (group === undefined) this.groups.push({ token, items: [item] });
    else group.items.push(item);
  }
}

type Register = Extract<CatalogCommand, { kind: "register" }>;

function register(local: LocalState, service: ServiceRow | null, checks: CheckRow[]): Register {
  const skipNodeUpdate = local.nodeSync !== "unknown";
  return { kind: "register", node: local.node, service, checks, skipNodeUpdate };
}

/** Before the first comparison nobody knows whether the catalog has the node: each push carries it. */
function nodeRows(local: LocalState): PushedRow[] {
  return local.nodeSync === "unknown" ? [{ kind: "node", node: local.node }] : [];
}

/** Takes the answer to one item: what it carried is in step unless it changed meanwhile. */
export function settleItem(local: LocalState, item: PushItem): void {
  for (const row of item.rows) settleRow(local, row, "synced");
}

function settleRow(local: LocalState, row: PushedRow, sync: "synced" | "unknown"): void {
  switch (row.kind) {
    case "node":
      if (local.node === row.node) local.nodeSync = sync;
      return;
    case "service":
      return settle(local.services.get(row.id), row.revision, sync, local.dirtyServices, row.id);
    case "check":
      return settle(local.checks.get(row.id), row.revision, sync, local.dirtyChecks, row.id);
    case "gone-service":
      if (local.goneServices.get(row.id)?.revision === row.revision) {
        local.goneServices.delete(row.id);
      }
      return;
    case "gone-check":
      if (local.goneChecks.get(row.id)?.revision === row.revision) local.goneChecks.delete(row.id);
      return;
    default:
      row satisfies never;
  }
}

/** The catalog refused an item for good: its rows wait for the next comparison. A check that went
 *  without its service is tried once more with it. */
export function refuseItem(local: LocalState, item: PushItem): void {
  const alone = item.command.kind === "register" && item.command.service === null &&
    item.command.checks[0] !== undefined;
  if (alone) {
    const { command } = item as { command: Register };
    const service = local.services.get(command.checks[0]!.serviceId);
    if (service !== undefined && service.sync === "synced") return local.markService(service);
  }
  for (const row of item.rows) settleRow(local, row, "unknown");
}

function settle(
  entry: { revision: number; sync: SyncState } | undefined,
  revision: number,
  sync: SyncState,
  dirty: Set<string>,
  id: string,
): void {
  if (entry === undefined || entry.revision !== revision) return;
  entry.sync = sync;
  dirty.delete(id);
}
