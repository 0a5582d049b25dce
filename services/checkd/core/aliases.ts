// Which alias checks of this node look at which of its services.

import { aliasVerdict, type Verdict } from "./alias.ts";
import type { CheckEntry, LocalState } from "./local-state.ts";

export class Aliases {
  readonly #local: LocalState;
  /** Service id ("" for the node alone) → alias checks that mirror it. */
  readonly #byTarget = new Map<string, Set<string>>();
  readonly #targetOf = new Map<string, string>();

  constructor(local: LocalState) {
    this.#local = local;
  }

  follow(entry: CheckEntry): void {
    this.forget(entry);
    const { definition, row } = entry;
    if (row.type !== "alias" || definition === null || definition.aliasNode !== "") return;
    const target = definition.aliasService;
    this.#targetOf.set(row.checkId, target);
    const aliases = this.#byTarget.get(target) ?? new Set();
    this.#byTarget.set(target, aliases.add(row.checkId));
  }

  forget(entry: CheckEntry): void {
    const target = this.#targetOf.get(entry.row.checkId);
    if (target === undefined) return;
    this.#targetOf.delete(entry.row.checkId);
    const aliases = this.#byTarget.get(target)!;
    aliases.delete(entry.row.checkId);
    if (aliases.size === 0) this.#byTarget.delete(target);
  }

  all(): Iterable<string> {
    return [...this.#targetOf.keys()];
  }

  /** Those that a change of this service's checks concerns; the node's checks concern all. */
  of(serviceId: string): Iterable<string> {
    return serviceId === "" ? this.all() : this.#byTarget.get(serviceId) ?? [];
  }

  /** Alias checks that belong to this service: they may be new. */
  ownedBy(serviceId: string): string[] {
    return this.#local.checksOf(serviceId).map((entry) => entry.row.checkId)
      .filter((checkId) => this.#targetOf.has(checkId));
  }

  judge(checkId: string): Verdict {
    const serviceId = this.#targetOf.get(checkId)!;
    const ofService = serviceId === "" ? [] : this.#local.checksOf(serviceId);
    const rows = [...this.#local.checksOf(""), ...ofService].map((entry) => entry.row);
    const isKnown = this.#local.services.has(serviceId);
    return aliasVerdict({ serviceId, node: "", ownCheckId: checkId }, rows, isKnown);
  }
}
