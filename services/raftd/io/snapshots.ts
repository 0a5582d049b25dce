// All that raftd does with the whole state at once: archives out and in, copies for other servers,
// checkpoints. The long work is done in workers.

import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Store } from "../state/store.ts";
import { Checkpoints, type CheckpointsParts } from "./checkpoints.ts";
import type { ConsensusLink } from "./consensus-link.ts";
import { RestoreBuilder } from "./restore-builder.ts";
import { Restores, type RestoresParts } from "./restores.ts";
import { SnapshotLink } from "./snapshot-link.ts";
import { type SavesParts, SnapshotSaves } from "./snapshot-saves.ts";
import { type ScheduleSettings, SnapshotSchedule } from "./snapshot-schedule.ts";
import { SnapshotTransfers } from "./snapshot-transfers.ts";
import type { StateFiles } from "./state-files.ts";
import type { OnStep } from "./steps.ts";

/** The write-ahead log of the state from which it is moved into the file, however few entries. */
const WAL_BYTES_DUE = 16 * 1024 * 1024;
/** Beyond this its writer itself does that. */
const WAL_BYTES_MAX = 32 * 1024 * 1024;
/** An idle one of up to this is kept for what comes next. */
const WAL_BYTES_KEPT = 4 * 1024 * 1024;
const TRIM_PAUSE_MS = 5;

export interface SnapshotsParts extends Omit<RestoresParts & SavesParts, "worker"> {
  files: StateFiles;
  link: () => ConsensusLink;
  schedule: ScheduleSettings;
  isLeader(): boolean;
  onStep: OnStep;
}

export class Snapshots {
  readonly saves: SnapshotSaves;
  readonly restores: Restores;
  readonly builder: RestoreBuilder;
  readonly transfers: SnapshotTransfers;
  readonly #schedule: SnapshotSchedule;
  readonly #files: StateFiles;
  readonly #onStep: OnStep;
  readonly #link: () => ConsensusLink;
  // One for each line of work, so that none waits for a long one of another kind.
  readonly #checkpoints = new SnapshotLink();
  readonly #copies = new SnapshotLink();
  readonly #changes = new SnapshotLink();
  #trimTimer: Timer | undefined;

  constructor(parts: SnapshotsParts) {
    const { folder, files } = parts;
    this.#files = files;
    this.#onStep = parts.onStep;
    this.#link = parts.link;
    this.saves = new SnapshotSaves({ ...parts, worker: this.#copies });
    this.restores = new Restores({ ...parts, worker: this.#changes });
    this.builder = new RestoreBuilder(folder, files, this.#changes);
    const { schedule: settings, isLeader, log } = parts;
    this.#schedule = new SnapshotSchedule({ settings, saves: this.saves, isLeader, log });
    this.transfers = new SnapshotTransfers({ ...parts, worker: this.#copies });
  }

  checkpointsOf(settings: Pick<CheckpointsParts, "entries" | "intervalMs">): Checkpoints {
    return new Checkpoints({
      ...settings,
      files: this.#files,
      onStep: this.#onStep,
      checkpoint: (store) => this.#checkpoint(store),
      isDue: (store, isIdle) => walBytes(store.path) > (isIdle ? WAL_BYTES_KEPT : WAL_BYTES_DUE),
      taken: (index, stateBytes) =>
        this.#link().tell({ kind: "snapshot-taken", index, stateBytes }),
    });
  }

  /** Makes what is applied durable; false when a reader is in the way. */
  async #checkpoint(store: Store): Promise<boolean> {
    const { index } = store.applied();
    this.#onStep("checkpoint-begun");
    if (!await this.#checkpoints.run("checkpointState", store.path)) return false;
    if (store !== this.#files.current) return true;
    const bytes = walBytes(store.path);
    const isIdle = store.applied().index === index;
    // A writer that never pauses lets the log grow: the little that came meanwhile is moved here.
    if (bytes > (isIdle ? WAL_BYTES_KEPT : WAL_BYTES_MAX)) store.checkpoint("empty");
    this.#onStep("checkpoint-done");
    this.#trimLater(store);
    return true;
  }

  /** Gives the space of deleted rows back, also when nothing more is written. */
  #trimLater(store: Store): void {
    store.space.measure();
    let hasTrimmed = false;
    const trim = () => {
      this.#trimTimer = undefined;
      if (store !== this.#files.current) return;
      if (store.space.trimSlice()) {
        hasTrimmed = true;
        return again();
      }
      // The file itself shrinks only with a checkpoint.
      if (hasTrimmed) this.#checkpoint(store).catch(() => {});
    };
    const again = () => void (this.#trimTimer ??= setTimeout(trim, TRIM_PAUSE_MS));
    again();
  }

  stop(): void {
    clearTimeout(this.#trimTimer);
    this.#schedule.stop();
    this.transfers.stop();
    for (const worker of [this.#checkpoints, this.#copies, this.#changes]) worker.stop();
  }
}

/** Removes what was on its way when the process ended. */
export function removeTemporary(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (name.includes(".tmp")) rmSync(join(folder, name), { force: true });
  }
}

function walBytes(stateFile: string): number {
  return statSync(`${stateFile}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}
