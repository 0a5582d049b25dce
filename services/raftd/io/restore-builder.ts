// How an archive that came through the log becomes the state: the same on every server, at the entry
// that ends it. The new state is made beside the old one and takes its place as a whole.

import { join } from "node:path";
import { Outcome, RestoreMark } from "#proto/messages.js";
import { errorCodes } from "#shared/errors.ts";
import type { Entry } from "../core/raft/messages.ts";
import type { Store } from "../state/store.ts";
import type { SnapshotLink } from "./snapshot-link.ts";

/** "done": it was restored before; the entry came twice. */
export type Made =
  | { kind: "built"; file: string; keptRaw: string[] }
  | { kind: "done" }
  | { kind: "incomplete" }
  | { kind: "refused"; reason: string };

export interface RestoreTarget {
  install(
    file: string,
    position: { readonly index: number; readonly term: number },
    trust: "verified",
  ): boolean;
}

/** What the entry says of a restore; undefined for all other entries. */
export function restoreMarkOf({ kind, bytes }: Entry): RestoreMark | undefined {
  return kind === "barrier" && bytes.length > 0 ? RestoreMark.decode(bytes) : undefined;
}

export class RestoreBuilder {
  readonly #folder: string;
  readonly #files: RestoreTarget;
  readonly #worker: SnapshotLink;

  constructor(folder: string, files: RestoreTarget, worker: SnapshotLink) {
    this.#folder = folder;
    this.#files = files;
    this.#worker = worker;
  }

  /** Rejects when this server alone cannot do it. */
  async build(store: Store, entry: Entry): Promise<Made> {
    const { id, totalBytes } = restoreMarkOf(entry)!;
    const { restoredIndex: _, ...applied } = store.applied();
    if (applied.restoreId === id) return { kind: "done" };
    const file = join(this.#folder, `restore-${entry.index}.tmp`);
    const made = await this.#worker.run("buildState", store.path, totalBytes, file, {
      ...applied,
      index: entry.index,
      term: entry.term,
      stampMs: Math.max(applied.stampMs, entry.stampMs),
      generation: applied.generation + 1,
      restoreId: id,
    });
    return made.kind === "built" ? { ...made, file } : made;
  }

  install({ file }: Made & { kind: "built" }, { index, term }: Entry): void {
    if (this.#files.install(file, { index, term }, "verified")) return;
    throw new Error(`Expected a state of index ${index} in ${file}`);
  }

  /** What the caller of the restore hears. */
  outcomeOf(made: Made, index: number): Outcome {
    switch (made.kind) {
      case "built":
      case "done":
        return Outcome.create({ index, ok: true });
      case "incomplete":
        return refused(index, "another restore took the place of this one");
      case "refused":
        return refused(index, made.reason);
      default:
        return made satisfies never;
    }
  }
}

function refused(index: number, error: string): Outcome {
  return Outcome.create({ index, errorCode: errorCodes["failed-precondition"], error });
}
