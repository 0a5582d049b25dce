// What operators see of the cluster and may do to it: the members, the leader, removal, transfer.

import type { LeaderReply, PeerRef, RaftConfiguration, RaftStats } from "#proto/messages.js";
import { CuriaError } from "#shared/errors.ts";
import type { ConfigurationChange } from "../core/raft/messages.ts";
import type { Store } from "../state/store.ts";
import type { ConsensusLink } from "./consensus-link.ts";
import type { Replica } from "./replica.ts";
import { CHANGE_IDS_FROM } from "./thread-messages.ts";

export interface OperatorParts {
  id: string;
  link: ConsensusLink;
  replica: Replica;
  files: { readonly current: Store };
  /** Node name of a server, as far as gossip has told. */
  nodeName(id: string): string;
}

const PROTOCOL_VERSION = "3";
const TRANSFER_TIMEOUT_MS = 5_000;

export class Operator {
  readonly #parts: OperatorParts;
  readonly #transfers = new Map<number, (refusal: string) => void>();
  #nextTransfer = 1;
  #nextChange = CHANGE_IDS_FROM;
  readonly #changes = new Map<number, (error: CuriaError | undefined) => void>();

  constructor(parts: OperatorParts) {
    this.#parts = parts;
  }

  async configuration(): Promise<RaftConfiguration> {
    const { replica, link, nodeName } = this.#parts;
    const { configuration, peers, id, lastIndex } = await link.status();
    const { leader } = replica.leadership;
    return {
      index: configuration.index,
      servers: configuration.servers.map((server) => ({
        id: server.id,
        node: nodeName(server.id),
        address: server.address,
        leader: server.id === leader,
        voter: server.suffrage === "voter",
        protocolVersion: PROTOCOL_VERSION,
        lastIndex: server.id === id
          ? lastIndex
          : peers.find((peer) => peer.id === server.id)?.matchIndex ?? 0,
      })),
    };
  }

  leader(): LeaderReply {
    const { replica, id } = this.#parts;
    const { leader } = replica.leadership;
    const { servers } = replica.configuration;
    return {
      id: leader,
      address: servers.find((server) => server.id === leader)?.address ?? "",
      peers: servers.map(({ address }) => address),
      isLeader: leader === id,
    };
  }

  async stats(): Promise<RaftStats> {
    const { link, files } = this.#parts;
    const status = await link.status();
    const applied = files.current.applied();
    return {
      state: { leader: "Leader", candidate: "Candidate", follower: "Follower" }[status.role],
      term: status.term,
      lastLogIndex: status.lastIndex,
      lastLogTerm: status.lastTerm,
      commitIndex: status.commitIndex,
      appliedIndex: applied.index,
      snapshotIndex: status.baseIndex,
      snapshotTerm: 0,
      leaderId: status.leader,
      lastContactMs: Math.round(status.contactAgeMs),
      peers: Math.max(0, status.configuration.servers.length - 1),
      stateHash: files.current.contentHash(),
    };
  }

  async removePeer({ id, address }: PeerRef): Promise<void> {
    const { servers } = this.#parts.replica.configuration;
    const server = servers.find((known) => known.id === id || known.address === address);
    if (server === undefined) {
      throw new CuriaError(
        "failed-precondition",
        id !== ""
          ? `id "${id}" was not found in the Raft configuration`
          : `address "${address}" was not found in the Raft configuration`,
      );
    }
    await this.change({ kind: "remove", id: server.id });
  }

  /** Settles when the core has taken the change into its log, or has refused it. */
  change(change: ConfigurationChange): Promise<void> {
    const id = this.#nextChange++;
    return new Promise((resolve, reject) => {
      this.#changes.set(id, (error) => (error === undefined ? resolve() : reject(error)));
      this.#parts.link.tell({ kind: "configuration-change-proposed", id, change });
    });
  }

  transferLeader({ id }: PeerRef): Promise<void> {
    const transfer = this.#nextTransfer++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#transfers.delete(transfer);
        reject(new CuriaError("deadline-exceeded", "leadership transfer timeout"));
      }, TRANSFER_TIMEOUT_MS);
      this.#transfers.set(transfer, (refusal) => {
        clearTimeout(timer);
        if (refusal === "") resolve();
        else {reject(
            new CuriaError("failed-precondition", `leadership transfer failed: ${refusal}`),
          );}
      });
      const to = id === "" ? undefined : id;
      this.#parts.link.tell({ kind: "transfer-requested", id: transfer, to });
    });
  }

  /** Gives the lead away, if it is ours. */
  async handOver(): Promise<void> {
    if (this.#parts.replica.leadership.role === "leader") {
      await this.transferLeader({ id: "", address: "" });
    }
  }

  transferAnswered(id: number, refusal: string): void {
    this.#transfers.get(id)?.(refusal);
    this.#transfers.delete(id);
  }

  changeAnswered(id: number, refusal: string | undefined): void {
    const error = refusal === undefined
      ? undefined
      : new CuriaError("failed-precondition", refusal);
    this.#changes.get(id)?.(error);
    this.#changes.delete(id);
  }
}
