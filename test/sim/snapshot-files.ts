// The shell's side of snapshots: copies of the state on their way out, pieces coming in, and the
// switch to an installed state, which a crash may cut at any point.

import type { Effect } from "../../services/raftd/core/raft/machine.ts";
import type { Snapshot } from "../../services/raftd/core/raft/messages.ts";
import type { SimState, StateKind } from "./kv.ts";
import type { SimServer } from "./server.ts";
import { count, type World } from "./world.ts";

type SnapshotEffect = Extract<
  Effect,
  { kind: "read-snapshot" | "close-snapshot" | "write-snapshot" | "install-snapshot" }
>;

interface Copy {
  readonly snapshot: Snapshot;
  readonly bytes: Uint8Array;
}

export class SnapshotFiles {
  readonly #world: World;
  readonly #server: SimServer;
  #copies = new Map<number, Copy>();
  #incoming = new Map<number, Uint8Array[]>();

  constructor(world: World, server: SimServer) {
    this.#world = world;
    this.#server = server;
  }

  perform(effect: SnapshotEffect): void {
    switch (effect.kind) {
      case "read-snapshot":
        return this.#server.later(this.#delay(), () => this.#read(effect));
      case "close-snapshot":
        this.#copies.delete(effect.transfer);
        return;
      case "write-snapshot":
        return this.#server.later(this.#delay(), () => this.#write(effect));
      case "install-snapshot":
        return this.#server.later(this.#delay(), () => this.#install(effect));
      default:
        return effect satisfies never;
    }
  }

  #delay(): number {
    return this.#world.random.between(0.2, 30);
  }

  #read(effect: Extract<Effect, { kind: "read-snapshot" }>): void {
    const { peer, transfer, offset, bytesMax } = effect;
    let copy = this.#copies.get(transfer);
    if (!copy && offset === 0) {
      const { kv, configuration } = this.#server.state;
      const snapshot = { index: kv.index, term: kv.term, configuration };
      copy = { snapshot, bytes: kv.encode() };
      this.#copies.set(transfer, copy);
    }
    if (!copy || kvIsEmpty(copy)) {
      this.#copies.delete(transfer);
      return this.#server.input({ kind: "snapshot-read-failed", peer, transfer });
    }
    const bytes = copy.bytes.slice(offset, offset + bytesMax);
    const totalBytes = copy.bytes.length;
    const isLast = offset + bytes.length === totalBytes;
    this.#server.input({
      kind: "snapshot-read",
      peer,
      transfer,
      snapshot: copy.snapshot,
      offset,
      totalBytes,
      isLast,
      bytes,
    });
  }

  #write(effect: Extract<Effect, { kind: "write-snapshot" }>): void {
    const { from, transfer, offset, bytes } = effect;
    const pieces = offset === 0 ? [] : this.#incoming.get(transfer) ?? [];
    pieces.push(bytes);
    this.#incoming.set(transfer, pieces);
    const nextOffset = offset + bytes.length;
    this.#server.input({ kind: "snapshot-written", from, transfer, nextOffset });
  }

  #install(effect: Extract<Effect, { kind: "install-snapshot" }>): void {
    const { from, transfer, snapshot } = effect;
    const pieces = this.#incoming.get(transfer) ?? [];
    this.#incoming.delete(transfer);
    const kv = decodeState(this.#world.states, pieces);
    if (!kv || kv.index !== snapshot.index) {
      return this.#server.input({ kind: "snapshot-install-failed", from, transfer });
    }
    count(this.#world, "snapshots installed");
    this.#world.trace?.(`${this.#server.id} installs the snapshot of ${kv.index} from ${from}`);
    // The pointer is switched: from here on a restart finds the new state, whatever the log holds.
    this.#server.disk.checkpoint.kv.close();
    this.#server.disk.checkpoint = { kv: kv.clone(), configuration: snapshot.configuration };
    this.#server.state.replace({ kv, configuration: snapshot.configuration });
    const { random } = this.#world;
    const { stampMs } = kv;
    const finish = () => {
      this.#server.input({ kind: "snapshot-installed", from, transfer, stampMs });
    };
    if (random.chance(0.1)) this.#server.later(random.between(1, 200), finish);
    else finish();
  }
}

function kvIsEmpty(copy: Copy): boolean {
  return copy.snapshot.index === 0;
}

function decodeState(states: StateKind, pieces: readonly Uint8Array[]): SimState | undefined {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    bytes.set(piece, offset);
    offset += piece.length;
  }
  try {
    return states.decode(bytes);
  } catch {
    return undefined;
  }
}
