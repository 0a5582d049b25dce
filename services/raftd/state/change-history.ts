// The latest changes, bounded in bytes, for subscribers that come back and go on where they were.
// Keys are left out: their writes would fill it within moments, and nobody needs to go on with them.

import type { ChangeGroup, StateChange } from "./journal.ts";

/** What a change costs in memory beside its variable fields. */
const changeBytes = 512;

export class ChangeHistory {
  readonly #bytesMax: number;
  #groups: { readonly group: ChangeGroup; readonly bytes: number }[] = [];
  #bytes = 0;
  /** Changes after this index are all here. */
  #floor: number;

  constructor(appliedIndex: number, bytesMax: number) {
    this.#floor = appliedIndex;
    this.#bytesMax = bytesMax;
  }

  push(groups: readonly ChangeGroup[]): void {
    for (const group of groups) {
      if (group.changes.every(({ kind }) => kind === "kv")) continue;
      const bytes = group.changes.reduce((sum, change) => sum + sizeOf(change), 0);
      this.#groups.push({ group, bytes });
      this.#bytes += bytes;
    }
    let drop = 0;
    while (this.#bytes > this.#bytesMax && drop < this.#groups.length) {
      const { group, bytes } = this.#groups[drop++]!;
      this.#bytes -= bytes;
      this.#floor = group.index;
    }
    if (drop > 0) this.#groups.splice(0, drop);
  }

  /** All changes after the index but those of keys, oldest first; undefined: some of them are forgotten. */
  after(index: number): ChangeGroup[] | undefined {
    if (index < this.#floor) return undefined;
    let low = 0;
    let high = this.#groups.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#groups[middle]!.group.index <= index) low = middle + 1;
      else high = middle;
    }
    return this.#groups.slice(low).map(({ group }) => group);
  }

  /** After a restore nothing from before may be told. */
  reset(appliedIndex: number): void {
    this.#groups = [];
    this.#bytes = 0;
    this.#floor = appliedIndex;
  }

  get bytes(): number {
    return this.#bytes;
  }
}

/** About what a change takes, in memory and on the wire. */
export function sizeOf(change: StateChange): number {
  switch (change.kind) {
    case "kv":
      return changeBytes + change.kv.key.length + change.kv.value.length;
    case "check":
      return changeBytes + change.check.output.length + change.check.definitionJson.length;
    case "document":
      return changeBytes + change.document.bodyJson.length;
    case "service":
      return changeBytes + change.service.proxyJson.length + 32 * change.service.tags.length;
    case "node":
    case "session":
    case "coordinate":
      return changeBytes;
    default:
      return change satisfies never;
  }
}
