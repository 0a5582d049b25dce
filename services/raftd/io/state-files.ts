// Which file is the state. Files are numbered, and one small synced file names the current one: a
// file is never renamed over another, so an old write-ahead log cannot slip under a new state.
// Every step may be the last before a power loss; what is left is finished or removed at the start.

import { existsSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { syncFolder, writeSynced } from "#shared/synced-file.ts";
import type { StateChange } from "../state/journal.ts";
import type { Applied } from "../state/store-types.ts";
import { inspectStateFile } from "../state/applied.ts";
import { Store } from "../state/store.ts";
import { Subscription } from "../state/subscription.ts";
import { noListener, type OnStep } from "./steps.ts";

const pointerName = "state.current";
const statePattern = /^state-(\d+)\.db(-wal|-shm|-journal)?$/;

export class StateFiles {
  readonly #folder: string;
  readonly #onStep: OnStep;
  #number: number;
  #store: Store;

  /** Opens the current state, an empty one in a new folder. */
  static open(folder: string, onStep: OnStep = noListener): StateFiles {
    return new StateFiles(folder, onStep);
  }

  /** Puts an empty state in the place of one that is lost. */
  static beginAnew(folder: string): void {
    const next = readPointer(folder)! + 1;
    const file = join(folder, `state-${next}.db`);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
    const store = new Store(file);
    store.checkpoint("empty");
    store.close();
    syncFolder(folder);
    writePointer(folder, next, noListener);
  }

  private constructor(folder: string, onStep: OnStep) {
    this.#folder = folder;
    this.#onStep = onStep;
    this.#number = readPointer(folder) ?? this.#begin();
    this.#removeOthers();
    this.#store = new Store(this.#pathOf(this.#number));
  }

  /** Another object after an install. */
  get current(): Store {
    return this.#store;
  }

  applied(): Applied {
    return this.#store.applied();
  }

  /** A compact copy of the state as it is applied now; not synced. */
  snapshotTo(file: string): void {
    this.#store.snapshotTo(file);
  }

  /** All rows of a topic, in parts (see Store.viewOf). */
  rows(topic: string, services: readonly string[]): Iterable<StateChange[]> {
    return this.#store.viewOf(new Subscription({ topics: [topic], services }));
  }

  /** Makes a synced file of this folder the state; false, and nothing changed, when it is not a
   *  whole state of that position. The file is moved. */
  install(
    file: string,
    position: { readonly index: number; readonly term: number },
    trust: "unverified" | "verified" = "unverified",
  ): boolean {
    const found = inspectStateFile(file, trust === "verified" ? "position" : "whole");
    if (found?.index !== position.index || found.term !== position.term) return false;
    const next = this.#number + 1;
    this.#remove(next);
    renameSync(file, this.#pathOf(next));
    syncFolder(this.#folder);
    this.#onStep("state-renamed");
    writePointer(this.#folder, next, this.#onStep);
    this.#onStep("pointer-switched");
    const store = new Store(this.#pathOf(next));
    this.#onStep("state-opened");
    const old = this.#number;
    this.#store.close();
    this.#store = store;
    this.#number = next;
    this.#remove(old);
    this.#onStep("old-state-removed");
    return true;
  }

  close(): void {
    this.#store.close();
  }

  /** The pointer comes before the file: a folder with a state but no pointer is damaged. */
  #begin(): number {
    const found = readdirSync(this.#folder).filter((name) => statePattern.test(name));
    if (found.length > 0) {
      throw new Error(
        `Expected ${pointerName} in ${this.#folder}, which names the state file in use, but it is ` +
          `missing beside ${found.join(", ")}: write the name of the right file into it`,
      );
    }
    writePointer(this.#folder, 1, noListener);
    return 1;
  }

  #removeOthers(): void {
    for (const name of readdirSync(this.#folder)) {
      const number = statePattern.exec(name)?.[1];
      if (number !== undefined && Number(number) !== this.#number) {
        rmSync(join(this.#folder, name), { force: true });
      }
    }
    rmSync(join(this.#folder, `${pointerName}.tmp`), { force: true });
  }

  #remove(number: number): void {
    for (const suffix of ["", "-wal", "-shm", "-journal"]) {
      rmSync(this.#pathOf(number) + suffix, { force: true });
    }
  }

  #pathOf(number: number): string {
    return join(this.#folder, `state-${number}.db`);
  }
}

/** Undefined in a folder without a state. */
export function currentStateFile(folder: string): string | undefined {
  const number = readPointer(folder);
  return number === undefined ? undefined : join(folder, `state-${number}.db`);
}

function readPointer(folder: string): number | undefined {
  const file = join(folder, pointerName);
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, "utf8").trim();
  const number = Number(statePattern.exec(text)?.[1] ?? NaN);
  if (Number.isNaN(number)) {
    throw new Error(`Expected a name like state-1.db in ${file} but found "${text}"`);
  }
  const isMissing = !existsSync(join(folder, text));
  // Number 1 is named before it is made.
  if (isMissing && number !== 1) throw new Error(`Expected ${text} in ${folder}: it is missing`);
  return number;
}

function writePointer(folder: string, number: number, onStep: OnStep): void {
  const file = join(folder, pointerName);
  writeSynced(`${file}.tmp`, `state-${number}.db\n`, 0o640);
  onStep("pointer-written");
  renameSync(`${file}.tmp`, file);
  syncFolder(folder);
}
