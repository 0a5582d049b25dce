// The rejoin snapshot on disk: appended lines, written out twice a second, rewritten when it has grown.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import {
  applySnapshotLine,
  compactionBytes,
  emptySnapshot,
  formatSnapshot,
  formatSnapshotLine,
  parseSnapshot,
  type Snapshot,
  type SnapshotLine,
} from "../core/serf/snapshot.ts";

const flushMs = 500;

export class SnapshotFile {
  readonly #path: string;
  readonly #snapshot: Snapshot;
  readonly #failed: (error: unknown) => void;
  #bytes: number;
  #pending = "";
  #timer: Timer | undefined;

  private constructor(path: string, snapshot: Snapshot, failed: (error: unknown) => void) {
    this.#path = path;
    this.#snapshot = snapshot;
    this.#failed = failed;
    this.#bytes = existsSync(path) ? statSync(path).size : 0;
  }

  /** `failed` hears of a disk that refuses: gossip goes on without its snapshot. */
  static open(
    path: string,
    rejoinAfterLeave: boolean,
    failed: (error: unknown) => void,
  ): { file: SnapshotFile; snapshot: Snapshot | undefined } {
    mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
    if (!existsSync(path)) {
      return { file: new SnapshotFile(path, emptySnapshot(), failed), snapshot: undefined };
    }
    const snapshot = parseSnapshot(readFileSync(path, "utf8"), rejoinAfterLeave);
    const file = new SnapshotFile(path, structuredClone(snapshot), failed);
    return { file, snapshot };
  }

  append(line: SnapshotLine): void {
    // A `leave` line forgets nothing here: whether it counts is decided when the file is read.
    if (line.kind !== "leave") applySnapshotLine(this.#snapshot, line, true);
    this.#pending += formatSnapshotLine(line);
    if (line.kind === "leave") this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), flushMs);
  }

  close(): void {
    this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending === "") return;
    const text = this.#pending;
    this.#pending = "";
    try {
      appendFileSync(this.#path, text, { mode: 0o644 });
      this.#bytes += text.length;
      const isLeave = text.endsWith("leave\n");
      if (!isLeave && this.#bytes > compactionBytes(this.#snapshot.alive.size)) this.#compact();
    } catch (error) {
      this.#failed(error);
    }
  }

  #compact(): void {
    const text = formatSnapshot(this.#snapshot);
    const fresh = `${this.#path}.compact`;
    writeFileSync(fresh, text, { mode: 0o644 });
    renameSync(fresh, this.#path);
    this.#bytes = text.length;
  }
}
