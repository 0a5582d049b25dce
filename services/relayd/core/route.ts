// Where a call goes: the part of the context that is an address, against what this node knows.

import type { ErrorCode } from "#shared/errors.ts";
import type { Server, Servers } from "./servers.ts";

export interface RouteSettings {
  datacenter: string;
  nodeId: string;
  isServer: boolean;
}

export interface Destination {
  datacenter: string;
  target: string;
}

export type Way =
  /** Any of these servers. */
  | { kind: "servers"; candidates: readonly Server[] }
  /** This node's own raftd, the only server: wait until it is back. */
  | { kind: "own-server" }
  /** The member list is not there yet: ask again when it is. */
  | { kind: "wait" }
  | { kind: "refuse"; code: ErrorCode; message: string };

/** A client node knows only its own datacenter: its servers pass on what is for another. */
export function findWay(to: Destination, servers: Servers, settings: RouteSettings): Way {
  const own = settings.datacenter;
  const asked = to.datacenter === "" ? own : to.datacenter;
  const isOwn = asked === own;
  const next = settings.isServer || isOwn ? asked : own;
  const pool = isOwn || !settings.isServer ? "lan" : "wan";
  // This server's raftd is what the caller tried, or where the call comes from.
  const candidates = servers.of(next).filter((server) => server.id !== settings.nodeId);
  if (isOwn && to.target.startsWith("node:")) {
    const named = servers.find(own, to.target.slice("node:".length));
    if (named !== undefined && named.id !== settings.nodeId) {
      return { kind: "servers", candidates: [named] };
    }
    // A server asks for a node that no way leads to; going on would lead in a circle.
    if (settings.isServer && servers.isWhole("lan")) {
      return { kind: "refuse", code: "not-found", message: `No server is called ${to.target}` };
    }
  }
  if (candidates.length > 0) return { kind: "servers", candidates };
  if (!servers.isWhole(pool)) return { kind: "wait" };
  if (isOwn && settings.isServer) return { kind: "own-server" };
  if (isOwn || !settings.isServer) {
    return { kind: "refuse", code: "no-servers", message: "No known Consul servers" };
  }
  return { kind: "refuse", code: "no-path-to-datacenter", message: "No path to datacenter" };
}
