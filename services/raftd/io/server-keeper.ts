// The leader's hand that keeps the Raft configuration: watches the servers' health, adds, promotes
// and removes them one at a time.

import { Command, DocumentVerb } from "#proto/messages.js";
import { Gossip } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import type { DaemonContext } from "#shared/daemon.ts";
import { formatDurationMs, parseDurationMs } from "#shared/consul/duration.ts";
import {
  type AutopilotSettings,
  healthBody,
  type ServerFacts,
  ServerHealths,
  stateBody,
} from "../core/duties/autopilot.ts";
import { nextServerStep } from "../core/duties/servers.ts";
import type { RaftStatus } from "../core/raft/machine.ts";
import type { Store } from "../state/store.ts";
import type { ConsensusLink } from "./consensus-link.ts";
import type { Members } from "./members.ts";
import type { Operator } from "./operator.ts";
import type { Proposals } from "./proposals.ts";
import type { Replica } from "./replica.ts";

export interface ServerKeeperParts {
  context: DaemonContext;
  gossip: BusClient;
  members: Members;
  replica: Replica;
  operator: Operator;
  proposals: Proposals;
  files: { readonly current: Store };
  link: ConsensusLink;
}

const SEED_TIMEOUT_MS = 5_000;
const stored = { kind: "autopilot-config", id: "autopilot" } as const;

export class ServerKeeper {
  readonly #parts: ServerKeeperParts;
  readonly #healths = new ServerHealths();
  #ledSinceWallMs = 0;

  constructor(parts: ServerKeeperParts) {
    this.#parts = parts;
  }

  restart(): void {
    this.#healths.clear();
    this.#ledSinceWallMs = Date.now();
  }

  async run(): Promise<void> {
    const { context, members, replica, operator, gossip, link } = this.#parts;
    const settings = this.#settings();
    const wallMs = Date.now();
    const status = await link.status();
    if (status.role !== "leader") return;
    if (this.#stored() === undefined) await this.#seed();
    this.#healths.observe(this.#facts(status), status, settings, wallMs);
    const step = nextServerStep({
      self: context.identity.nodeId,
      configuration: replica.configuration,
      alive: members.servers(),
      status: (id) => members.statusOf(id),
      healths: this.#healths,
      ledSinceWallMs: this.#ledSinceWallMs,
      settings,
    }, wallMs);
    if (step === undefined) return;
    context.log.info(step, "changing the servers of the cluster");
    if (step.kind === "change") await operator.change(step.change);
    else await gossip.of(Gossip).forceLeave({ node: members.nodeName(step.id) });
  }

  healthJson(): string {
    return JSON.stringify(healthBody(this.#healths.all));
  }

  stateJson(): string {
    return JSON.stringify(stateBody(this.#healths.all));
  }

  #facts(status: RaftStatus): ServerFacts[] {
    const { members } = this.#parts;
    return status.configuration.servers.map(({ id, address, suffrage }) => {
      const peer = status.peers.find((known) => known.id === id);
      const isLeader = id === status.leader;
      return {
        id,
        name: members.nodeName(id),
        address,
        version: members.versionOf(id),
        serfStatus: members.statusOf(id) ?? "none",
        isLeader,
        isVoter: suffrage === "voter",
        lastContactMs: isLeader ? 0 : Math.round(peer?.contactAgeMs ?? -1),
        // A peer that answers does so in the leader's term.
        lastTerm: isLeader || peer !== undefined ? status.term : 0,
        lastIndex: isLeader ? status.lastIndex : peer?.matchIndex ?? 0,
      };
    });
  }

  #stored() {
    return this.#parts.files.current.tables.documents.find(stored.kind, stored.id);
  }

  /** The first leader's own settings become those of the cluster; from then on only the operator
   *  changes them. */
  async #seed(): Promise<void> {
    const { context, proposals } = this.#parts;
    const own = context.config.autopilot;
    const bodyJson = new TextEncoder().encode(JSON.stringify({
      CleanupDeadServers: own.cleanupDeadServers,
      LastContactThreshold: formatDurationMs(own.lastContactThresholdMs),
      MaxTrailingLogs: own.maxTrailingLogs,
      MinQuorum: own.minQuorum,
      ServerStabilizationTime: formatDurationMs(own.serverStabilizationTimeMs),
      RedundancyZoneTag: "",
      DisableUpgradeMigration: false,
      UpgradeVersionTag: "",
    }));
    const document = { ...stored, bodyJson };
    const command = Command.encode({
      document: { verb: DocumentVerb.DOCUMENT_CAS, document, index: 0 },
    });
    await proposals.propose(command.finish(), undefined, SEED_TIMEOUT_MS);
  }

  /** The replicated configuration; until it is there the node's own. */
  #settings(): AutopilotSettings {
    const { context } = this.#parts;
    const own = context.config.autopilot;
    const defaults: AutopilotSettings = {
      ...own,
      serverStabilizationMs: own.serverStabilizationTimeMs,
    };
    const row = this.#stored();
    if (row === undefined) return defaults;
    const given = JSON.parse(new TextDecoder().decode(row.bodyJson)) as Record<string, unknown>;
    return {
      cleanupDeadServers: given["CleanupDeadServers"] !== false,
      lastContactThresholdMs: parseDurationMs(String(given["LastContactThreshold"] ?? "200ms")),
      maxTrailingLogs: Number(given["MaxTrailingLogs"] ?? defaults.maxTrailingLogs),
      minQuorum: Number(given["MinQuorum"] ?? 0),
      serverStabilizationMs: parseDurationMs(String(given["ServerStabilizationTime"] ?? "10s")),
    };
  }
}
