// Calls that are not for this raftd: those for the leader go to it, those for another daemon of this
// node are handed over, those for another datacenter go through relayd.

import type { Outcome } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import { passedOn } from "#shared/bus/context.ts";
import { daemonClient } from "#shared/bus/state-client.ts";
import type { Call, EncodedMessage, Method } from "#shared/bus/types.ts";
import type { DaemonContext } from "#shared/daemon.ts";
import { CuriaError } from "#shared/errors.ts";
import { parseAddress } from "./peers.ts";
import type { Replica } from "./replica.ts";

/** What only the leader can answer: its memory, or its decision. */
const leaderMethods = new Set([
  "State.RenewSession",
  "Raft.GetConfiguration",
  "Raft.RemovePeer",
  "Raft.TransferLeader",
  "Raft.AutopilotHealth",
  "Raft.RestoreSnapshot",
]);
const LEADER_POLL_MS = 20;

export class Routes {
  readonly #context: DaemonContext;
  readonly #replica: () => Replica;
  readonly #daemons = new Map<string, BusClient>();
  readonly #holdMs: number;
  #leader: { address: string; client: BusClient } | undefined;

  constructor(context: DaemonContext, replica: () => Replica) {
    this.#context = context;
    this.#replica = replica;
    this.#holdMs = context.config.raft.rpcHoldTimeoutMs;
  }

  route(method: Method, call: Call): BusClient | Promise<BusClient> | undefined {
    const { datacenter, target, daemon } = call.context;
    const { config, identity } = this.#context;
    if (datacenter !== "" && datacenter !== config.node.datacenter) return this.#daemon("relayd");
    if (target.startsWith("node:") && target !== `node:${config.node.name}`) {
      return this.#daemon("relayd");
    }
    const isForLeader = target === "leader" || leaderMethods.has(method.name);
    // A stale question is answered by any server, leader or not.
    if (isForLeader && call.context.consistency !== "stale") {
      const { leader } = this.#replica().leadership;
      if (leader === "") return this.#awaitLeader(method, call);
      if (leader !== identity.nodeId) return this.#leaderClient();
    }
    if (daemon !== "" && daemon !== "raftd") return this.#daemon(daemon);
    if (method.name === "State.Apply" && this.hasLeft) return this.#daemon("relayd");
    return undefined;
  }

  /** This server is no member of the cluster any more. */
  get hasLeft(): boolean {
    return this.#replica().hasLeft;
  }

  /** A write that waited here when this server left the cluster: another server applies it, or says
   *  what came of it, since it keeps its client id and sequence. */
  applyElsewhere(command: EncodedMessage, call: Call): Promise<Outcome> {
    const context = passedOn(call.context, call.caller);
    return this.#daemon("relayd").of(State).apply(command, { on: call, context });
  }

  stop(): void {
    for (const client of this.#daemons.values()) client.close();
    this.#leader?.client.close();
  }

  #leaderClient(): BusClient {
    const { leadership, configuration } = this.#replica();
    const address = configuration.servers.find(({ id }) => id === leadership.leader)?.address;
    if (address === undefined) throw new CuriaError("no-leader", "No cluster leader");
    if (this.#leader?.address !== address) {
      this.#leader?.client.close();
      const client = new BusClient({
        addresses: [parseAddress(address)],
        daemon: "raftd",
        identity: this.#context.identity,
        log: this.#context.log,
        // A call must not wait for a server that leads no more: it is routed anew.
        waits: false,
      });
      this.#leader = { address, client };
    }
    return this.#leader.client;
  }

  /** Holds the call while there is no leader, as long as the caller and `rpc_hold_timeout` allow. */
  async #awaitLeader(method: Method, call: Call): Promise<BusClient> {
    const untilMs = Math.min(call.deadlineMs, performance.now() + this.#holdMs);
    while (this.#replica().leadership.leader === "" && !call.isCancelled) {
      if (performance.now() >= untilMs) throw new CuriaError("no-leader", "No cluster leader");
      await Bun.sleep(LEADER_POLL_MS);
    }
    return await this.route(method, call) ?? this.#daemon("raftd");
  }

  #daemon(name: string): BusClient {
    let client = this.#daemons.get(name);
    if (client === undefined) {
      client = daemonClient(this.#context, name);
      this.#daemons.set(name, client);
    }
    return client;
  }
}
