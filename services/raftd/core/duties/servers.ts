// Which servers belong to the Raft configuration, decided on the leader from what gossip says: new
// ones join as non-voters, stable ones are promoted, those that left are removed.

import type { Configuration, ConfigurationChange, ServerId } from "../raft/messages.ts";
import type { ServerMember } from "./bootstrap.ts";

export interface ServerHealth {
  /** Since when it has been healthy without a break; undefined: it is not. */
  healthySinceMs: number | undefined;
}

export interface ServersView {
  self: ServerId;
  configuration: Configuration;
  alive: readonly ServerMember[];
  /** Names or ids of servers that left or were reaped. */
  gone: ReadonlySet<ServerId>;
  health: ReadonlyMap<ServerId, ServerHealth>;
  /** When this leader's duties began. */
  ledSinceMs: number;
  stabilizationMs: number;
}

/** The next change of the configuration, one at a time; undefined: all is as it should be. */
export function nextServerChange(
  view: ServersView,
  nowMs: number,
): ConfigurationChange | undefined {
  const known = new Map(view.configuration.servers.map((server) => [server.id, server]));
  for (const { id, address, isCuria } of view.alive) {
    if (!isCuria) continue;
    const server = known.get(id);
    if (server === undefined) return { kind: "add-nonvoter", id, address };
    if (server.address !== address) {
      return { kind: server.suffrage === "voter" ? "add-voter" : "add-nonvoter", id, address };
    }
    if (server.suffrage === "nonvoter" && isStable(view, id, nowMs)) return { kind: "promote", id };
  }
  for (const id of known.keys()) {
    if (id !== view.self && view.gone.has(id)) return { kind: "remove", id };
  }
  return undefined;
}

/** A fresh cluster promotes at once: nobody has been watched for long enough yet. */
function isStable(view: ServersView, id: ServerId, nowMs: number): boolean {
  const since = view.health.get(id)?.healthySinceMs;
  if (since === undefined) return false;
  if (nowMs - view.ledSinceMs < view.stabilizationMs) return true;
  return nowMs - since >= view.stabilizationMs;
}
