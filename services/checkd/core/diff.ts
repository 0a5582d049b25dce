// Local against catalog: marks what must be pushed and what must go (Consul, full sync).

import type { CheckEntry, LocalState, ServiceEntry } from "./local-state.ts";
import type { CatalogView, CheckRow, NodeRow, ServiceRow } from "./model.ts";
import { serfHealth, serviceOfServers } from "./model.ts";

/** Compares all and marks what differs. `adopt`: results from before a short restart stand until
 *  the check has one of its own. */
export function compare(local: LocalState, catalog: CatalogView, adopt: boolean): void {
  if (catalog.node === null || !sameNode(local.node, catalog.node)) local.nodeSync = "dirty";
  else local.nodeSync = "synced";
  compareServices(local, catalog.services);
  compareChecks(local, catalog.checks, adopt);
}

function compareServices(local: LocalState, rows: ServiceRow[]): void {
  const remote = new Map(rows.map((row) => [row.id, row]));
  for (const entry of local.services.values()) {
    const row = remote.get(entry.row.id);
    if (row === undefined) {
      local.markService(entry);
      continue;
    }
    takeOver(local, entry, row);
    if (!sameService(entry.row, row)) local.markService(entry);
    else if (entry.sync === "unknown") entry.sync = "synced";
  }
  for (const id of remote.keys()) {
    if (id === serviceOfServers || local.services.has(id)) continue;
    if (!local.goneServices.has(id)) local.markGone("service", id, id);
  }
}

/** What the catalog may change of a service: its tags when it says so, and addresses that the
 *  servers assign. */
function takeOver(local: LocalState, entry: ServiceEntry, remote: ServiceRow): void {
  // A change that has not been pushed yet is newer than what the catalog has.
  if (entry.sync === "dirty") return;
  const row = { ...entry.row };
  if (row.enableTagOverride) row.tags = remote.tags;
  row.taggedAddresses = { ...row.taggedAddresses };
  for (const [name, address] of Object.entries(remote.taggedAddresses)) {
    if (name.startsWith("consul-")) row.taggedAddresses[name] = address;
  }
  if (!sameService(row, entry.row)) local.changeRow(entry, row);
}

function compareChecks(local: LocalState, rows: CheckRow[], adopt: boolean): void {
  const remote = new Map(rows.map((row) => [row.checkId, row]));
  for (const entry of local.checks.values()) {
    const row = remote.get(entry.row.checkId);
    if (row === undefined) {
      local.markCheck(entry);
      continue;
    }
    if (adopt && isAdoptable(entry, row)) {
      entry.row = { ...entry.row, status: row.status, output: row.output };
    }
    const ignoreOutput = entry.isOutputDeferred;
    if (!sameCheck(entry.row, row, ignoreOutput)) local.markCheck(entry);
    else if (entry.sync === "unknown") entry.sync = "synced";
  }
  for (const row of remote.values()) {
    if (row.checkId === serfHealth || local.checks.has(row.checkId)) continue;
    if (row.serviceId === serviceOfServers && !local.services.has(row.serviceId)) continue;
    if (!local.goneChecks.has(row.checkId)) local.markGone("check", row.checkId, row.serviceId);
  }
}

function isAdoptable(entry: CheckEntry, remote: CheckRow): boolean {
  return entry.sync === "unknown" && !entry.isProven && entry.row.type !== "ttl" &&
    entry.row.name === remote.name && entry.row.serviceId === remote.serviceId;
}

function sameNode(local: NodeRow, remote: NodeRow): boolean {
  return local.id === remote.id && sameMap(local.taggedAddresses, remote.taggedAddresses) &&
    sameMap(local.meta, remote.meta) && sameJson(local.localityJson, remote.localityJson);
}

export function sameService(a: ServiceRow, b: ServiceRow): boolean {
  return a.id === b.id && a.service === b.service && a.kind === b.kind &&
    a.address === b.address && a.port === b.port && a.socketPath === b.socketPath &&
    a.enableTagOverride === b.enableTagOverride && sameList(a.tags, b.tags) &&
    a.weights.passing === b.weights.passing && a.weights.warning === b.weights.warning &&
    sameMap(a.meta, b.meta) &&
    canonical(a.taggedAddresses) === canonical(b.taggedAddresses) &&
    sameJson(a.proxyJson, b.proxyJson) && sameJson(a.connectJson, b.connectJson) &&
    sameJson(a.localityJson, b.localityJson);
}

function sameCheck(a: CheckRow, b: CheckRow, ignoreOutput: boolean): boolean {
  return a.name === b.name && a.status === b.status && a.notes === b.notes &&
    (ignoreOutput || a.output === b.output) && a.serviceId === b.serviceId &&
    a.serviceName === b.serviceName && sameList(a.serviceTags, b.serviceTags);
}

function sameList(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function sameMap(a: Record<string, string>, b: Record<string, string>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

function sameJson(a: string, b: string): boolean {
  if (a === b) return true;
  const read = (text: string) => text === "" ? {} : JSON.parse(text) as unknown;
  return canonical(read(a)) === canonical(read(b));
}

/** JSON with sorted keys and without what Go would leave out as empty, so that two spellings of one
 *  object are equal. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => {
    if (inner === null || typeof inner !== "object" || Array.isArray(inner)) return inner;
    const kept = Object.entries(inner).filter(([, field]) => !isEmpty(field));
    return Object.fromEntries(kept.sort(([a], [b]) => a < b ? -1 : 1));
  });
}

function isEmpty(value: unknown): boolean {
  if (value === null || value === "" || value === 0 || value === false) return true;
  if (typeof value !== "object") return false;
  return Object.values(value).every(isEmpty) && !(Array.isArray(value) && value.length > 0);
}
