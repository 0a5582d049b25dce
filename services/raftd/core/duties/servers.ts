// Which servers belong to the Raft configuration, decided on the leader from what gossip says: new
// ones join as non-voters, stable ones are promoted, those that left are removed, dead ones too as
// far as autopilot allows (spec: raft §13).

import type { Configuration, ConfigurationChange, ServerId } from "../raft/messages.ts";
import type { AutopilotSettings, SerfStatus, ServerHealths } from "./autopilot.ts";
import type { ServerMember } from "./bootstrap.ts";

export interface ServersView {
  self: ServerId;
  configuration: Configuration;
  alive: readonly ServerMember[];
  /** What gossip says of a server; undefined: it does not know it. */
  status(id: ServerId): SerfStatus | undefined;
  healths: ServerHealths;
  /** When this leader's duties began. */
  ledSinceWallMs: number;
  settings: AutopilotSettings;
}

export type ServerStep =
  | { kind: "change"; change: ConfigurationChange }
  /** Gossip is to take the failed server for one that left; its removal follows from that. */
  | { kind: "force-leave"; id: ServerId };

/** The next step, one at a time; undefined: all is as it should be. */
export function nextServerStep(view: ServersView, wallMs: number): ServerStep | undefined {
  const change = joining(view, wallMs) ?? leaving(view);
  if (change !== undefined) return { kind: "change", change };
  return view.settings.cleanupDeadServers ? dead(view, wallMs) : undefined;
}

function joining(view: ServersView, wallMs: number): ConfigurationChange | undefined {
  const known = new Map(view.configuration.servers.map((server) => [server.id, server]));
  for (const { id, address, isCuria } of view.alive) {
    if (!isCuria) continue;
    const server = known.get(id);
    if (server === undefined) return { kind: "add-nonvoter", id, address };
    if (server.address !== address) {
      return { kind: server.suffrage === "voter" ? "add-voter" : "add-nonvoter", id, address };
    }
    if (server.suffrage === "nonvoter" && isStable(view, id, wallMs)) {
      return { kind: "promote", id };
    }
  }
  return undefined;
}

function leaving({ configuration, self, status }: ServersView): ConfigurationChange | undefined {
  const gone = configuration.servers.find(({ id }) => id !== self && status(id) === "left");
  return gone && { kind: "remove", id: gone.id };
}

/** Failed servers and entries that gossip does not know, never more than the quorum can spare. */
function dead(view: ServersView, wallMs: number): ServerStep | undefined {
  const { configuration, self, status, settings } = view;
  // A leader that has just begun may not have heard of everyone yet.
  if (wallMs - view.ledSinceWallMs < settings.serverStabilizationMs) return undefined;
  const isDead = (id: ServerId) =>
    id !== self && (status(id) === undefined || status(id) === "failed");
  const voters = configuration.servers.filter(({ suffrage }) => suffrage === "voter");
  const deadVoters = voters.filter(({ id }) => isDead(id)).length;
  const maySpare = deadVoters <= Math.floor((voters.length - 1) / 2) &&
    voters.length - 1 >= settings.minQuorum;
  const victim = configuration.servers.find(({ id, suffrage }) =>
    isDead(id) && (suffrage === "nonvoter" || maySpare)
  );
  if (victim === undefined) return undefined;
  if (status(victim.id) === "failed") return { kind: "force-leave", id: victim.id };
  return { kind: "change", change: { kind: "remove", id: victim.id } };
}

/** A fresh cluster promotes at once: nobody has been watched for long enough yet. */
function isStable({ healths, settings, ...view }: ServersView, id: ServerId, wallMs: number) {
  const health = healths.find(id);
  if (health?.isHealthy !== true) return false;
  if (wallMs - view.ledSinceWallMs < settings.serverStabilizationMs) return true;
  return wallMs - health.stableSinceWallMs >= settings.serverStabilizationMs;
}
