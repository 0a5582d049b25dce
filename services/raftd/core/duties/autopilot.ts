// How healthy the servers are and for how long, as Consul's autopilot judges and shows it: alive in
// gossip, heard lately, not far behind. The leader observes; others know nothing.

import { formatDurationMs } from "#shared/consul/duration.ts";
import type { ServerId } from "../raft/messages.ts";

export interface AutopilotSettings {
  cleanupDeadServers: boolean;
  lastContactThresholdMs: number;
  maxTrailingLogs: number;
  minQuorum: number;
  serverStabilizationMs: number;
}

export type SerfStatus = "none" | "alive" | "leaving" | "left" | "failed";

/** One server of the Raft configuration, or one that gossip knows, as it is now. */
export interface ServerFacts {
  id: ServerId;
  name: string;
  address: string;
  version: string;
  serfStatus: SerfStatus;
  isLeader: boolean;
  isVoter: boolean;
  lastContactMs: number;
  lastTerm: number;
  lastIndex: number;
}

export interface ServerHealth extends ServerFacts {
  isHealthy: boolean;
  /** Since when it is as healthy or unhealthy as now. */
  stableSinceWallMs: number;
}

/** Keeps since when each server is as it is. */
export class ServerHealths {
  #servers: ServerHealth[] = [];

  get all(): readonly ServerHealth[] {
    return this.#servers;
  }

  find(id: ServerId): ServerHealth | undefined {
    return this.#servers.find((server) => server.id === id);
  }

  /** `leaderIndex` is the end of the leader's log. */
  observe(
    facts: readonly ServerFacts[],
    leader: { term: number; lastIndex: number },
    settings: AutopilotSettings,
    wallMs: number,
  ): void {
    const before = new Map(this.#servers.map((server) => [server.id, server]));
    this.#servers = facts.map((server) => {
      const isHealthy = server.serfStatus === "alive" &&
        server.lastContactMs >= 0 && server.lastContactMs <= settings.lastContactThresholdMs &&
        server.lastTerm === leader.term &&
        server.lastIndex + settings.maxTrailingLogs >= leader.lastIndex;
      const old = before.get(server.id);
      const stableSinceWallMs = old?.isHealthy === isHealthy ? old.stableSinceWallMs : wallMs;
      return { ...server, isHealthy, stableSinceWallMs };
    });
  }

  clear(): void {
    this.#servers = [];
  }
}

/** How many voters may fail before the cluster stops. */
export function failureTolerance(servers: readonly ServerHealth[]): number {
  const voters = servers.filter(({ isVoter }) => isVoter);
  const healthy = voters.filter(({ isHealthy }) => isHealthy).length;
  return Math.max(0, healthy - (Math.floor(voters.length / 2) + 1));
}

/** The body of /v1/operator/autopilot/health. */
export function healthBody(servers: readonly ServerHealth[]) {
  return {
    Healthy: isAllHealthy(servers),
    FailureTolerance: failureTolerance(servers),
    Servers: servers.length === 0 ? null : servers.map((server) => ({
      ID: server.id,
      Name: server.name,
      Address: server.address,
      SerfStatus: server.serfStatus,
      Version: server.version,
      Leader: server.isLeader,
      LastContact: formatDurationMs(Math.max(0, server.lastContactMs)),
      LastTerm: server.lastTerm,
      LastIndex: server.lastIndex,
      Healthy: server.isHealthy,
      Voter: server.isVoter,
      StableSince: formatTime(server.stableSinceWallMs),
    })),
  };
}

/** The body of /v1/operator/autopilot/state. */
export function stateBody(servers: readonly ServerHealth[]) {
  const tolerance = failureTolerance(servers);
  return {
    Healthy: isAllHealthy(servers),
    FailureTolerance: tolerance,
    OptimisticFailureTolerance: tolerance,
    Servers: Object.fromEntries(servers.map((server) => [server.id, {
      ID: server.id,
      Name: server.name,
      Address: server.address,
      NodeStatus: server.serfStatus,
      Version: server.version,
      LastContact: formatDurationMs(Math.max(0, server.lastContactMs)),
      LastTerm: server.lastTerm,
      LastIndex: server.lastIndex,
      Healthy: server.isHealthy,
      StableSince: formatTime(server.stableSinceWallMs),
      ReadReplica: false,
      Status: server.isLeader ? "leader" : server.isVoter ? "voter" : "non-voter",
      Meta: null,
      NodeType: "voter",
    }])),
    Leader: servers.find(({ isLeader }) => isLeader)?.id ?? "",
    Voters: servers.filter(({ isVoter }) => isVoter).map(({ id }) => id),
  };
}

function isAllHealthy(servers: readonly ServerHealth[]): boolean {
  return servers.length > 0 && servers.every(({ isHealthy }) => isHealthy);
}

function formatTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.000Z$/, "Z");
}
