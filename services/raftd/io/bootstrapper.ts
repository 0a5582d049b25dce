// A blank server's way into a cluster: watches gossip until it may write the first configuration,
// and asks the others first whether they have one already.

import { Raft } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import type { DaemonContext } from "#shared/daemon.ts";
import {
  type BootstrapDecision,
  decideBootstrap,
  type ServerMember,
} from "../core/duties/bootstrap.ts";
import type { Configuration } from "../core/raft/messages.ts";
import { bootTimeMs } from "./clock.ts";
import type { ConsensusLink } from "./consensus-link.ts";
import type { Members } from "./members.ts";
import { parseAddress } from "./peers.ts";

const ASK_TIMEOUT_MS = 1_000;
const WRITE_RETRY_MS = 1_000;
/** Apart from every other proposal id. */
const BOOTSTRAP_IDS_FROM = 2 ** 51;

export class Bootstrapper {
  readonly #context: DaemonContext;
  readonly #members: Members;
  readonly #link: ConsensusLink;
  #writes = 0;
  #wroteMs = -Infinity;
  /** Why this server has no cluster yet, in words for an operator. */
  waitingFor: string | undefined;

  constructor(context: DaemonContext, members: Members, link: ConsensusLink) {
    this.#context = context;
    this.#members = members;
    this.#link = link;
  }

  async run(): Promise<void> {
    const { config, identity } = this.#context;
    const known = this.#members.servers();
    const self = known.find(({ id }) => id === identity.nodeId) ?? this.#ownMember();
    const decision = decideBootstrap(
      {
        bootstrap: config.bootstrap,
        expect: config.bootstrapExpect,
        observe: config.migration.observe,
      },
      self,
      known.filter(({ id }) => id !== self.id),
    );
    await this.#follow(decision);
  }

  async #follow(decision: BootstrapDecision): Promise<void> {
    if (decision.kind !== "ask") {
      if (decision.kind === "refuse" && this.waitingFor !== decision.reason) {
        this.#context.log.error({ reason: decision.reason }, "cannot bootstrap");
      }
      this.waitingFor = decision.reason;
      return;
    }
    const answers = await Promise.all(decision.servers.map((server) => this.#isBlank(server)));
    const unblank = decision.servers.find((_, n) => answers[n] === false);
    if (unblank !== undefined) {
      this.waitingFor = `${unblank.name} has a cluster already: waiting for its leader to add us`;
      return;
    }
    const silent = decision.servers.find((_, n) => answers[n] === undefined);
    if (silent !== undefined) {
      this.waitingFor = `${silent.name} does not tell whether it has a cluster`;
      return;
    }
    this.#write(decision.configuration);
  }

  #write(configuration: Configuration): void {
    // The core answers within a turn; until then the same decision comes out again.
    if (bootTimeMs() - this.#wroteMs < WRITE_RETRY_MS) return;
    this.#wroteMs = bootTimeMs();
    const servers = configuration.servers.map(({ address }) => address);
    this.#context.log.info({ servers }, "bootstrapping the cluster");
    const id = BOOTSTRAP_IDS_FROM + this.#writes++;
    this.#link.tell({ kind: "bootstrap-requested", id, configuration });
  }

  /** Whether the server has no configuration yet; undefined: it did not answer. */
  async #isBlank({ address }: ServerMember): Promise<boolean | undefined> {
    const { identity, log } = this.#context;
    const client = new BusClient({
      addresses: [parseAddress(address)],
      daemon: "raftd",
      identity,
      log,
    });
    try {
      const { servers } = await client.of(Raft).getConfiguration({}, {
        consistency: "stale",
        timeoutMs: ASK_TIMEOUT_MS,
      });
      return servers.length === 0;
    } catch {
      return undefined;
    } finally {
      client.close();
    }
  }

  /** Gossip may not be up yet; a lone server needs nobody's word but its own. */
  #ownMember(): ServerMember {
    const { identity, config } = this.#context;
    const { advertise } = config.addresses;
    const host = advertise.includes(":") ? `[${advertise}]` : advertise;
    return {
      id: identity.nodeId,
      name: identity.node,
      address: `${host}:${config.ports.server}`,
      expect: config.bootstrapExpect,
      isBootstrap: config.bootstrap,
      isCuria: true,
    };
  }
}
