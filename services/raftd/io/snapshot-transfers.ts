// Snapshots that go to and come from other servers, piece by piece. A copy of the state file is made
// when a transfer begins and lives until the core closes it.

import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { decodeConfiguration } from "../core/raft/membership.ts";
import type { Configuration, LogPosition } from "../core/raft/messages.ts";
import type { Applied } from "../state/store-types.ts";
import type { ConsensusLink } from "./consensus-link.ts";
import type { MainEffect } from "./thread-messages.ts";

type Effect<Kind> = Extract<MainEffect, { kind: Kind }>;

export interface SnapshotSource {
  /** Writes a copy of the state as it is applied now. */
  snapshotTo(file: string): void;
  applied(): Applied;
  /** Makes the verified file the state; false when the file is no good. */
  install(file: string, position: LogPosition): boolean;
}

interface Outgoing {
  fd: number;
  file: string;
  totalBytes: number;
  position: LogPosition;
  configuration: Configuration;
}

export class SnapshotTransfers {
  readonly #folder: string;
  readonly #source: SnapshotSource;
  readonly #link: () => ConsensusLink;
  readonly #outgoing = new Map<string, Outgoing>();
  #incoming: { key: string; fd: number; file: string } | undefined;

  constructor(
    folder: string,
    source: SnapshotSource,
    link: () => ConsensusLink,
  ) {
    this.#folder = folder;
    this.#source = source;
    this.#link = link;
  }

  read({ peer, transfer, offset, bytesMax }: Effect<"read-snapshot">): void {
    const key = `${peer} ${transfer}`;
    try {
      if (offset === 0 && !this.#outgoing.has(key)) this.#begin(key, transfer);
      const copy = this.#outgoing.get(key);
      if (copy === undefined) throw new Error(`no copy of the state for ${key}`);
      const bytes = new Uint8Array(Math.min(bytesMax, copy.totalBytes - offset));
      const count = readSync(copy.fd, bytes, 0, bytes.length, offset);
      this.#link().tell({
        kind: "snapshot-read",
        peer,
        transfer,
        snapshot: { ...copy.position, configuration: copy.configuration },
        offset,
        totalBytes: copy.totalBytes,
        isLast: offset + count >= copy.totalBytes,
        bytes: bytes.subarray(0, count),
      });
    } catch {
      this.#link().tell({ kind: "snapshot-read-failed", peer, transfer });
    }
  }

  #begin(key: string, transfer: number): void {
    const file = this.#fresh(`outgoing-${transfer}-${this.#outgoing.size}.tmp`);
    this.#source.snapshotTo(file);
    const { index, term, configuration, configurationIndex } = this.#source.applied();
    const fd = openSync(file, "r");
    this.#outgoing.set(key, {
      fd,
      file,
      totalBytes: fstatSync(fd).size,
      position: { index, term },
      configuration: decodeConfiguration(configurationIndex, configuration),
    });
  }

  close({ peer, transfer }: Effect<"close-snapshot">): void {
    const key = `${peer} ${transfer}`;
    const copy = this.#outgoing.get(key);
    if (copy === undefined) return;
    this.#outgoing.delete(key);
    closeSync(copy.fd);
    rmSync(copy.file, { force: true });
  }

  write({ from, transfer, offset, bytes }: Effect<"write-snapshot">): void {
    const key = `${from} ${transfer}`;
    if (offset === 0) {
      this.#drop();
      const file = this.#fresh("incoming.tmp");
      this.#incoming = { key, fd: openSync(file, "w"), file };
    }
    if (this.#incoming?.key !== key) return;
    let written = 0;
    while (written < bytes.length) {
      const left = bytes.length - written;
      written += writeSync(this.#incoming.fd, bytes, written, left, offset + written);
    }
    const nextOffset = offset + bytes.length;
    this.#link().tell({ kind: "snapshot-written", from, transfer, nextOffset });
  }

  /** True when the state is the snapshot's. */
  install({ from, transfer, snapshot }: Effect<"install-snapshot">): boolean {
    const incoming = this.#incoming;
    this.#incoming = undefined;
    let isInstalled = false;
    if (incoming !== undefined) {
      fsyncSync(incoming.fd);
      closeSync(incoming.fd);
      isInstalled = incoming.key === `${from} ${transfer}` &&
        this.#source.install(incoming.file, snapshot);
      rmSync(incoming.file, { force: true });
    }
    const kind = isInstalled ? "snapshot-installed" : "snapshot-install-failed";
    this.#link().tell({ kind, from, transfer });
    return isInstalled;
  }

  stop(): void {
    this.#drop();
    for (const { fd, file } of this.#outgoing.values()) {
      closeSync(fd);
      rmSync(file, { force: true });
    }
    this.#outgoing.clear();
  }

  #drop(): void {
    if (this.#incoming === undefined) return;
    closeSync(this.#incoming.fd);
    rmSync(this.#incoming.file, { force: true });
    this.#incoming = undefined;
  }

  #fresh(name: string): string {
    const file = join(this.#folder, name);
    if (existsSync(file)) rmSync(file);
    return file;
  }
}
