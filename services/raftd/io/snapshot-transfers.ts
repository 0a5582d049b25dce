// Snapshots that go to and come from other servers, piece by piece. A copy of the state file is made
// when a transfer begins and lives until the core closes it.

import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "#shared/log.ts";
import { decodeConfiguration } from "../core/raft/membership.ts";
import type { Configuration, LogPosition } from "../core/raft/messages.ts";
import { isDiskFull } from "../state/space.ts";
import type { ConsensusLink } from "./consensus-link.ts";
import type { Copied } from "./snapshot-jobs.ts";
import type { SnapshotLink } from "./snapshot-link.ts";
import type { OnStep } from "./steps.ts";
import type { MainEffect } from "./thread-messages.ts";

type Effect<Kind> = Extract<MainEffect, { kind: Kind }>;

export interface SnapshotTarget {
  readonly current: { readonly path: string };
  applied(): { readonly stampMs: number };
  /** Makes a verified file the state; false when it is no state of that position. */
  install(file: string, position: LogPosition, trust: "verified"): boolean;
}

export interface SnapshotTransfersParts {
  folder: string;
  files: SnapshotTarget;
  worker: SnapshotLink;
  link: () => ConsensusLink;
  log: Pick<Log, "error">;
  onStep: OnStep;
}

interface Outgoing {
  file: string;
  /** Undefined while the copy is being made. */
  copy: { fd: number; totalBytes: number; snapshot: Snapshot } | undefined;
}

type Snapshot = LogPosition & { configuration: Configuration };

export class SnapshotTransfers {
  readonly #folder: string;
  readonly #files: SnapshotTarget;
  readonly #worker: SnapshotLink;
  readonly #link: () => ConsensusLink;
  readonly #log: Pick<Log, "error">;
  readonly #onStep: OnStep;
  readonly #outgoing = new Map<string, Outgoing>();
  #incoming: { key: string; fd: number; file: string } | undefined;
  #copies = 0;

  constructor({ folder, files, worker, link, log, onStep }: SnapshotTransfersParts) {
    this.#folder = folder;
    this.#files = files;
    this.#worker = worker;
    this.#link = link;
    this.#log = log;
    this.#onStep = onStep;
  }

  read(effect: Effect<"read-snapshot">): void {
    const key = keyOf(effect.peer, effect.transfer);
    const outgoing = this.#outgoing.get(key);
    if (outgoing?.copy !== undefined) this.#sendPiece(effect, outgoing);
    else if (outgoing === undefined && effect.offset === 0) this.#begin(key, effect);
    else if (outgoing === undefined) this.#fail(effect);
  }

  #begin(key: string, effect: Effect<"read-snapshot">): void {
    const file = join(this.#folder, `outgoing-${++this.#copies}.tmp`);
    const outgoing: Outgoing = { file, copy: undefined };
    this.#outgoing.set(key, outgoing);
    this.#worker.run("copyState", this.#files.current.path, file).then((copied) => {
      this.#onStep("state-copied");
      // The core may have closed it meanwhile.
      if (this.#outgoing.get(key) !== outgoing) return rmSync(file, { force: true });
      const fd = openSync(file, "r");
      outgoing.copy = { fd, totalBytes: copied.totalBytes, snapshot: snapshotOf(copied) };
      this.#sendPiece(effect, outgoing);
    }).catch(() => {
      if (this.#outgoing.get(key) === outgoing) this.#outgoing.delete(key);
      rmSync(file, { force: true });
      this.#fail(effect);
    });
  }

  #sendPiece(effect: Effect<"read-snapshot">, { copy }: Outgoing): void {
    const { peer, transfer, offset, bytesMax } = effect;
    const { fd, totalBytes, snapshot } = copy!;
    try {
      const bytes = new Uint8Array(Math.min(bytesMax, totalBytes - offset));
      const count = readSync(fd, bytes, 0, bytes.length, offset);
      this.#link().tell({
        kind: "snapshot-read",
        peer,
        transfer,
        snapshot,
        offset,
        totalBytes,
        isLast: offset + count >= totalBytes,
        bytes: bytes.subarray(0, count),
      });
    } catch {
      this.#fail(effect);
    }
  }

  #fail({ peer, transfer }: Effect<"read-snapshot">): void {
    this.#link().tell({ kind: "snapshot-read-failed", peer, transfer });
  }

  close({ peer, transfer }: Effect<"close-snapshot">): void {
    const key = keyOf(peer, transfer);
    const outgoing = this.#outgoing.get(key);
    if (outgoing === undefined) return;
    this.#outgoing.delete(key);
    discard(outgoing);
  }

  write({ from, transfer, offset, bytes }: Effect<"write-snapshot">): void {
    try {
      if (offset === 0) this.#open(keyOf(from, transfer));
      if (this.#incoming?.key !== keyOf(from, transfer)) return;
      let written = 0;
      while (written < bytes.length) {
        const left = bytes.length - written;
        written += writeSync(this.#incoming.fd, bytes, written, left, offset + written);
      }
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#drop();
      return this.#link().tell({ kind: "snapshot-install-failed", from, transfer });
    }
    this.#onStep("piece-written");
    const nextOffset = offset + bytes.length;
    this.#link().tell({ kind: "snapshot-written", from, transfer, nextOffset });
  }

  #open(key: string): void {
    this.#drop();
    const file = join(this.#folder, "incoming.tmp");
    this.#incoming = { key, fd: openSync(file, "w"), file };
  }

  /** Whether what came is a whole state of that position, synced. */
  async verify({ from, transfer, snapshot }: Effect<"install-snapshot">): Promise<boolean> {
    const incoming = this.#incoming;
    if (incoming?.key !== keyOf(from, transfer)) return false;
    const { index, term } = snapshot;
    return await this.#worker.run("verifyState", incoming.file, index, term).catch(() => false);
  }

  /** True when the state is the snapshot's. */
  install({ from, transfer, snapshot }: Effect<"install-snapshot">, isGood: boolean): boolean {
    const incoming = this.#incoming;
    this.#onStep("snapshot-verified");
    const isInstalled = isGood && incoming !== undefined &&
      this.#files.install(incoming.file, snapshot, "verified");
    this.#drop();
    if (isInstalled) {
      const { stampMs } = this.#files.applied();
      this.#link().tell({ kind: "snapshot-installed", from, transfer, stampMs });
    } else {
      const { index, term } = snapshot;
      this.#log.error({ from, index, term }, "the state that this server was sent is damaged");
      this.#link().tell({ kind: "snapshot-install-failed", from, transfer });
    }
    return isInstalled;
  }

  stop(): void {
    this.#drop();
    for (const outgoing of this.#outgoing.values()) discard(outgoing);
    this.#outgoing.clear();
  }

  #drop(): void {
    if (this.#incoming === undefined) return;
    closeSync(this.#incoming.fd);
    rmSync(this.#incoming.file, { force: true });
    this.#incoming = undefined;
  }
}

function keyOf(peer: string, transfer: number): string {
  return `${peer} ${transfer}`;
}

function snapshotOf({ applied }: Copied): Snapshot {
  const { index, term, configuration, configurationIndex } = applied;
  return { index, term, configuration: decodeConfiguration(configurationIndex, configuration) };
}

function discard({ file, copy }: Outgoing): void {
  if (copy !== undefined) closeSync(copy.fd);
  rmSync(file, { force: true });
}
