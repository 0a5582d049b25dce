// All that raftd does with the whole state at once: archives out and in, copies for other servers,
// checkpoints. The long work is done in workers.

import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Store } from "../state/store.ts";
import type { ConsensusLink } from "./consensus-link.ts";
import { RestoreBuilder } from "./restore-builder.ts";
import { Restores, type RestoresParts } from "./restores.ts";
import { SnapshotLink } from "./snapshot-link.ts";
import { type SavesParts, SnapshotSaves } from "./snapshot-saves.ts";
import { type ScheduleSettings, SnapshotSchedule } from "./snapshot-schedule.ts";
import { SnapshotTransfers } from "./snapshot-transfers.ts";
import type { StateFiles } from "./state-files.ts";

/** The write-ahead log of the state beyond which its writer empties it. */
const WAL_BYTES_MAX = 64 * 1024 * 1024;

export interface SnapshotsParts extends Omit<RestoresParts & SavesParts, "worker"> {
  files: StateFiles;
  link: () => ConsensusLink;
  schedule: ScheduleSettings;
  isLeader(): boolean;
}

export class Snapshots {
  readonly saves: SnapshotSaves;
  readonly restores: Restores;
  readonly builder: RestoreBuilder;
  readonly transfers: SnapshotTransfers;
  readonly #schedule: SnapshotSchedule;
  readonly #files: StateFiles;
  // One for each line of work, so that none waits for a long one of another kind.
  readonly #checkpoints = new SnapshotLink();
  readonly #copies = new SnapshotLink();
  readonly #changes = new SnapshotLink();

  constructor(parts: SnapshotsParts) {
    const { folder, files } = parts;
    this.#files = files;
    this.saves = new SnapshotSaves({ ...parts, worker: this.#copies });
    this.restores = new Restores({ ...parts, worker: this.#changes });
    this.builder = new RestoreBuilder(folder, files, this.#changes);
    const { schedule: settings, isLeader, log } = parts;
    this.#schedule = new SnapshotSchedule({ settings, saves: this.saves, isLeader, log });
    this.transfers = new SnapshotTransfers(folder, files, this.#copies, parts.link);
  }

  /** Makes what is applied durable; false when a reader is in the way. */
  async checkpoint(store: Store): Promise<boolean> {
    if (!await this.#checkpoints.run("checkpointState", store.path)) return false;
    // A writer that never pauses lets the log grow: the little that came meanwhile is moved here.
    const isLong = walBytes(store.path) > WAL_BYTES_MAX;
    if (isLong && store === this.#files.current) store.checkpoint();
    return true;
  }

  stop(): void {
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
