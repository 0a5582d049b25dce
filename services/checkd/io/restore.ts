// Brings back at start what configuration and disk declare, in Consul's order: services before
// checks, and the configuration wins.

import type { Log } from "#shared/log.ts";
import type { Clock } from "#shared/machine.ts";
import type { Agent, AgentEffect } from "../core/agent.ts";
import { type ConfigDefinitions, registrationOf } from "../core/config-definitions.ts";
import type { Origin } from "../core/keeper.ts";
import type { KeptCheck, KeptService } from "./persisted.ts";
import type { LocalStore } from "./local-store.ts";
import type { Loop } from "./loop.ts";

const fromConfig: Origin = { source: "local", sync: "unknown" };

/** Throws when the configuration declares what is invalid; what is kept on disk is skipped then. */
export function restore(
  agent: Agent,
  loop: Loop,
  store: LocalStore,
  definitions: ConfigDefinitions,
  clock: Clock,
  log: Log,
): void {
  const warn = (text: string) => log.warn({ reason: text }, "a kept registration is not used");
  for (const service of definitions.services) {
    loop.do((_, nowMs) => agent.registerService(registrationOf(service), false, fromConfig, nowMs));
  }
  const kept = store.loadServices(warn);
  // Parents first: a sidecar is kept as a service of its own.
  for (const service of kept) restoreService(agent, loop, store, service, warn);
  for (const check of definitions.checks) {
    loop.do((_, nowMs) => agent.registerCheck(check, check.token, fromConfig, nowMs));
  }
  for (const check of store.loadChecks(warn)) {
    restoreCheck(agent, loop, store, check, warn);
  }
  for (const [checkId, entry] of agent.local.checks) {
    if (entry.row.type !== "ttl") continue;
    const ttl = store.loadTtl(checkId, clock.wallMs());
    if (ttl !== undefined) agent.restoreTtl(checkId, ttl.status, ttl.output);
  }
}

function restoreService(
  agent: Agent,
  loop: Loop,
  store: LocalStore,
  kept: KeptService,
  warn: (text: string) => void,
): void {
  const { row, token, source, isSidecar } = kept;
  if (agent.local.services.get(row.id)?.source === "local") {
    drop(store.removeService(row.id), warn);
    return warn(`service ${row.id} is declared by the configuration too`);
  }
  attempt(
    loop,
    warn,
    `service ${row.id}`,
    () => drop(store.removeService(row.id), warn),
    (nowMs) => agent.restoreService(row, { source, sync: "unknown", token, isSidecar }, nowMs),
  );
}

function restoreCheck(
  agent: Agent,
  loop: Loop,
  store: LocalStore,
  kept: KeptCheck,
  warn: (text: string) => void,
): void {
  const { row, definition, token, source } = kept;
  const purge = () => drop(store.removeCheck(row.checkId), warn);
  if (agent.local.checks.get(row.checkId)?.source === "local") {
    purge();
    return warn(`check ${row.checkId} is declared by the configuration too`);
  }
  const isOrphan = row.serviceId !== "" && !agent.local.services.has(row.serviceId);
  if (isOrphan) {
    purge();
    return warn(`check ${row.checkId} belongs to service ${row.serviceId}, which does not exist`);
  }
  attempt(
    loop,
    warn,
    `check ${row.checkId}`,
    purge,
    (nowMs) => agent.restoreCheck({ row, definition, token }, source, nowMs),
  );
}

function attempt(
  loop: Loop,
  warn: (text: string) => void,
  what: string,
  purge: () => void,
  act: (nowMs: number) => AgentEffect[],
): void {
  try {
    loop.do((_, nowMs) => act(nowMs));
  } catch (error) {
    purge();
    warn(`${what}: ${(error as Error).message}`);
  }
}

/** A file that cannot be removed is only in the way at the next start. */
function drop(removal: Promise<void>, warn: (text: string) => void): void {
  removal.catch((error: Error) => warn(`its file cannot be removed: ${error.message}`));
}
