// The leader's hand that brings gossip's members into the catalog.

import { Command } from "#proto/messages.js";
import type { DaemonContext } from "#shared/daemon.ts";
import { type CatalogRows, idConflicts, reconcile, serfHealth } from "../core/duties/reconcile.ts";
import type { Store } from "../state/store.ts";
import { bootTimeMs } from "./clock.ts";
import type { Members } from "./members.ts";
import type { Proposals } from "./proposals.ts";

/** All members are looked at again after this long, whatever gossip says. */
const INTERVAL_MS = 60_000;
const APPLY_TIMEOUT_MS = 10_000;

export class CatalogKeeper {
  readonly #context: DaemonContext;
  readonly #members: Members;
  readonly #files: { readonly current: Store };
  readonly #proposals: Proposals;
  #doneMs = -Infinity;
  #doneVersion = -1;

  constructor(
    context: DaemonContext,
    members: Members,
    files: { readonly current: Store },
    proposals: Proposals,
  ) {
    this.#context = context;
    this.#members = members;
    this.#files = files;
    this.#proposals = proposals;
  }

  /** A new leader looks at everyone. */
  restart(): void {
    this.#doneMs = -Infinity;
  }

  async run(): Promise<void> {
    const nowMs = bootTimeMs();
    const { version } = this.#members;
    if (nowMs - this.#doneMs < INTERVAL_MS && this.#doneVersion === version) return;
    const { datacenter, node } = this.#context.identity;
    const members = [...this.#members.all()];
    const settings = { datacenter, self: node };
    const rows = this.#rows();
    for (const { member, holder, id } of idConflicts(members, rows, settings)) {
      const text =
        `node ID ${id} of "${member}" belongs to the live node "${holder}": it is kept ` +
        "out of the catalog; give it an ID of its own (node_id, or remove its node-id file)";
      this.#context.log.error({ member, holder, id }, text);
    }
    const commands = reconcile(members, rows, settings);
    for (const command of commands) {
      const encoded = Command.encode(command).finish();
      const outcome = await this.#proposals.propose(encoded, undefined, APPLY_TIMEOUT_MS);
      if (outcome.errorCode === 0) continue;
      const member = command.register?.node?.node ?? command.deregister?.node;
      this.#context.log.warn({ member, error: outcome.error }, "member not brought to the catalog");
    }
    this.#doneVersion = version;
    this.#doneMs = nowMs;
  }

  #rows(): CatalogRows {
    const { nodes, checks, services } = this.#files.current.tables;
    return {
      node: (name) => nodes.find("", name),
      check: (node, id) => checks.find("", node, id),
      service: (node, id) => services.find("", node, id),
      nodesWithSerfHealth: () => checks.nodesWith("", serfHealth),
    };
  }
}
