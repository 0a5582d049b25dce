// All parts of a running raftd, put together.

import { join } from "node:path";
import type { AutopilotReply, Query, ReadReply } from "#proto/messages.js";
import { BusServer } from "#shared/bus/server.ts";
import { daemonClient, stateSocket } from "#shared/bus/state-client.ts";
import type { Call, CallerClass } from "#shared/bus/types.ts";
import { release } from "#shared/config/release.ts";
import type { DaemonContext } from "#shared/daemon.ts";
import { decodeConfiguration } from "../core/raft/membership.ts";
import { declareMetrics, observe } from "../metrics.ts";
import { raftSettings } from "../config.ts";
import { bootTimeMs } from "./clock.ts";
import { ConsensusLink } from "./consensus-link.ts";
import { ConsensusReports } from "./consensus-reports.ts";
import { Duties } from "./duties.ts";
import { Members } from "./members.ts";
import { Operator } from "./operator.ts";
import { Proposals } from "./proposals.ts";
import { ReadGate } from "./reads.ts";
import { recoverByPeersFile } from "./recovery.ts";
import { Replica } from "./replica.ts";
import { Routes } from "./routes.ts";
import { Snapshots } from "./snapshots.ts";
import { StateFiles } from "./state-files.ts";
import { noteDamage, prepareFolder } from "./state-repair.ts";
import { listenerOf } from "./steps.ts";
import { Subscriptions } from "./subscriptions.ts";
import { SharedWords } from "./thread-messages.ts";
import { WatchStreams } from "./watch-streams.ts";

/** Free bytes below which writes are refused, so that what is under way still fits. */
const DISK_RESERVE_BYTES = 32 * 1024 * 1024;

export class Node {
  readonly proposals: Proposals;
  readonly gate: ReadGate;
  readonly watchStreams: WatchStreams;
  readonly subscriptions: Subscriptions;
  readonly operator: Operator;
  readonly routes: Routes;
  readonly snapshots: Snapshots;
  /** On state.sock: what local daemons call. */
  readonly stateServer: BusServer;
  /** Behind the server port: what other nodes call. */
  readonly remoteServer: BusServer;
  readonly #context: DaemonContext;
  readonly #files: StateFiles;
  readonly #link: ConsensusLink;
  readonly #replica: Replica;
  readonly #members: Members;
  readonly #duties: Duties;
  readonly #words = new SharedWords();
  readonly #remoteSocket: string;
  readonly #reports: ConsensusReports;

  /** `stepsModule`: see steps.ts. */
  static async open(context: DaemonContext, stepsModule?: string): Promise<Node> {
    const folder = raftFolder(context);
    prepareFolder(folder, context.log);
    await recoverByPeersFile(folder, context.log);
    const node = new Node(context, stepsModule);
    await node.#link.started;
    return node;
  }

  private constructor(context: DaemonContext, stepsModule: string | undefined) {
    this.#context = context;
    const onStep = listenerOf(stepsModule);
    const { config, identity, log } = context;
    const folder = raftFolder(context);
    this.#remoteSocket = join(config.runDir, "raftd.remote.sock");
    const metrics = declareMetrics(context.metrics);
    this.#reports = new ConsensusReports(context, metrics);
    this.#files = StateFiles.open(folder, onStep);
    const applied = this.store.applied();
    this.#link = new ConsensusLink(
      {
        id: identity.nodeId,
        node: identity.node,
        datacenter: identity.datacenter,
        release,
        settings: raftSettings(config),
        seed: crypto.getRandomValues(new Uint32Array(1))[0]!,
        folder,
        reserveBytes: DISK_RESERVE_BYTES,
        stepsModule,
        listenHost: config.addresses.bind,
        listenPort: config.ports.server,
        busSocket: this.#remoteSocket,
        words: this.#words.buffer,
        applied,
        stampMs: applied.stampMs,
        configuration: applied.configuration.length > 0
          ? decodeConfiguration(applied.configurationIndex, applied.configuration)
          : { index: 0, servers: [] },
      },
      this.#reports,
      (packed, effects) => this.#replica.turn(packed, effects),
    );
    const holdMs = config.raft.rpcHoldTimeoutMs;
    this.proposals = new Proposals(
      {
        id: identity.nodeId,
        holdMs,
        refusal: (command) => this.#members.kinds.refusal(command, this.#replica.configuration),
        propose: (id, bytes, kind) => this.#link.propose(id, bytes, kind),
      },
      `raftd-${crypto.randomUUID()}`,
    );
    this.gate = new ReadGate({
      words: this.#words,
      holdMs,
      request: (id, mode) => this.#link.requestRead(id, mode),
    }, applied.index);
    this.snapshots = new Snapshots({
      folder,
      files: this.#files,
      link: () => this.#link,
      proposals: this.proposals,
      gate: this.gate,
      log,
      reserveBytes: DISK_RESERVE_BYTES,
      contact: () => this.contact(),
      schedule: {
        ...config.snapshotSchedule,
        dir: config.snapshotSchedule.dir || join(folder, "../snapshots"),
      },
      isLeader: () => this.#replica.leadership.role === "leader",
      onStep,
    });
    const bookmark = () => ({ ...this.position(), ...this.contact() });
    this.watchStreams = new WatchStreams({
      nodeNames: (query) => this.#nodeNames(query),
      indexOf: (query) => this.store.indexOf(query),
      bookmark,
    });
    this.subscriptions = new Subscriptions({
      files: this.#files,
      position: () => this.position(),
      bookmark,
    });
    this.#replica = new Replica({
      files: this.#files,
      link: this.#link,
      proposals: this.proposals,
      gate: this.gate,
      transfers: this.snapshots.transfers,
      builder: this.snapshots.builder,
      checkpoints: this.snapshots.checkpointsOf({
        entries: config.raft.snapshotThreshold,
        intervalMs: config.raft.snapshotIntervalMs,
      }),
    }, {
      changed: (changes, index) => {
        this.watchStreams.changed(changes, index);
        this.subscriptions.changed(changes);
        this.#duties.changed(changes);
      },
      leadershipChanged: (leadership) => {
        metrics.leaderChanges.add();
        log.info(leadership, "leadership");
        this.watchStreams.bookmark();
        this.subscriptions.bookmark();
        this.#duties.leadershipChanged(leadership);
      },
      configurationChanged: ({ index, servers }) => {
        log.info({ index, servers: servers.map(({ id }) => id) }, "raft configuration");
        this.#duties.run();
      },
      applied: (entries, tookMs) => {
        metrics.appliedEntries.add(entries);
        metrics.applySeconds.observe(tookMs / 1000);
      },
      damaged: () => noteDamage(folder),
      halted: (reason) => context.fail(new Error(`consensus stopped: ${reason}`)),
      transferAnswered: (id, refusal) => this.operator.transferAnswered(id, refusal),
      changeAnswered: (id, refusal) => this.operator.changeAnswered(id, refusal),
    });
    this.operator = new Operator({
      id: identity.nodeId,
      link: this.#link,
      replica: this.#replica,
      files: this.#files,
      nodeName: (id) => this.#members.nodeName(id),
    });
    this.routes = new Routes(context, () => this.#replica);
    const gossip = daemonClient(context, "gossipd");
    this.#members = new Members(gossip, identity, {
      changed: () => this.#duties.run(),
    });
    this.#duties = new Duties({
      context,
      gossip,
      members: this.#members,
      replica: this.#replica,
      operator: this.operator,
      proposals: this.proposals,
      gate: this.gate,
      files: this.#files,
      link: this.#link,
    });
    const { counts } = context.bus;
    this.stateServer = new BusServer({ identity, log, counts });
    this.remoteServer = new BusServer({ identity, log, counts });
    this.remoteServer.classify = (hello): CallerClass => {
      if (hello.datacenter !== identity.datacenter) return "remote";
      const { servers } = this.#replica.configuration;
      return servers.some(({ id }) => id === hello.nodeId) ? "server" : "client";
    };
    observe(context.metrics, {
      term: () => this.#replica.leadership.term,
      isLeader: () => this.#replica.leadership.role === "leader",
      appliedIndex: () => this.#replica.appliedIndex,
      waitingWrites: () => this.proposals.count,
      watches: () => this.watchStreams.watchCount,
      watchStreams: () => this.watchStreams.streamCount,
      subscriptions: () => this.subscriptions.count,
      isDiskFull: () => this.#reports.isDiskFull,
    });
  }

  get store() {
    return this.#files.current;
  }

  async listen(): Promise<void> {
    await this.remoteServer.listen({ path: this.#remoteSocket }, { isRemote: true });
    await this.stateServer.listen({ path: stateSocket(this.#context.config.runDir) });
  }

  /** Where the state is in its stream of changes. */
  position(): { index: number; generation: number } {
    const { index, indexBase, generation } = this.store.applied();
    return { index: index + indexBase, generation };
  }

  contact(): { knownLeader: boolean; lastContactMs: number } {
    const { leader } = this.#replica.leadership;
    const isLeader = leader === this.#context.identity.nodeId;
    const heardMs = this.#words.leaderContactMs;
    return {
      knownLeader: leader !== "",
      lastContactMs: isLeader || heardMs === 0 ? 0 : Math.round(bootTimeMs() - heardMs),
    };
  }

  renewSession(id: string, call: Call): Promise<ReadReply> {
    return this.#duties.renewSession(id, call);
  }

  autopilotHealth(): AutopilotReply {
    return this.#duties.autopilotHealth();
  }

  #nodeNames({ kind, node }: Query): string[] {
    const name = kind === "node" ? this.store.nodeName(node.peerName, node.node) : undefined;
    return name === undefined ? [] : [name];
  }

  /** Why it cannot serve yet, in words for an operator. */
  notReady(): string | undefined {
    if (this.#reports.isDiskFull) return "the disk is full: writes are refused, reads go on";
    if (this.#replica.leadership.leader !== "") return undefined;
    return this.#duties.waitingFor ?? "no leader";
  }

  details(): Record<string, string> {
    const { role, term, leader } = this.#replica.leadership;
    const { servers } = this.#replica.configuration;
    return {
      role,
      term: String(term),
      leader: this.#members.nodeName(leader) || leader,
      applied_index: String(this.#replica.appliedIndex),
      servers: String(servers.length),
      watches: String(this.watchStreams.watchCount),
    };
  }

  async stop(): Promise<void> {
    this.#duties.stop();
    this.#members.stop();
    await Promise.all([this.stateServer.stop(), this.remoteServer.stop()]);
    this.#replica.stop();
    this.proposals.close();
    this.gate.close();
    this.watchStreams.close();
    this.subscriptions.close();
    this.snapshots.stop();
    this.routes.stop();
    await this.#link.stop();
    this.#files.close();
  }
}

function raftFolder({ config }: DaemonContext): string {
  return join(config.dataDir || config.runDir, "raft");
}
