// The worker that commits log.db and the vote, so that no fsync ever delays a heartbeat. It works
// through what it is sent in order; the consensus thread sends all that waits as one batch.

import { statfsSync } from "node:fs";
import { join } from "node:path";
import type { HardState } from "../core/raft/machine.ts";
import type { LogPosition, ServerId } from "../core/raft/messages.ts";
import { adoptEntries, packEntries } from "./entry-codec.ts";
import { isDiskFull } from "../state/space.ts";
import { openLog } from "./log-repair.ts";
import type { LogChange, LogContent, LogStore } from "./log-store.ts";
import { listenerOf, type OnStep } from "./steps.ts";
import { VoteFile } from "./vote-file.ts";

export type WriterRequest =
  | {
    kind: "open";
    folder: string;
    reserveBytes: number;
    /** What the state has. */
    applied: LogPosition;
    stepsModule: string | undefined;
  }
  | {
    kind: "write";
    /** Number of the last persist in it. */
    seq: number;
    hardState?: HardState;
    changes: { reset?: LogPosition; truncateFrom?: number; packed?: Uint8Array }[];
  }
  | { kind: "read"; peer: ServerId; fromIndex: number; countMax: number; bytesMax: number }
  | { kind: "compact"; through: LogPosition }
  | { kind: "close" };

export type WriterReply =
  | { kind: "opened"; hardState: HardState; content: LogContent }
  | { kind: "written"; seq: number; tookMs: number }
  | { kind: "read"; peer: ServerId; fromIndex: number; packed: Uint8Array }
  /** Free space fell below the reserve, or is back above it. */
  | { kind: "disk-full-changed"; isFull: boolean; freeBytes: number }
  | { kind: "failed"; reason: string }
  | { kind: "closed" };

const FULL_RETRY_MS = 500;
const SPACE_CHECK_MS = 500;
const TRIM_PAUSE_MS = 5;

class LogWriter {
  readonly #log: LogStore;
  readonly #votes: VoteFile;
  readonly #folder: string;
  readonly #reserveBytes: number;
  readonly #reply: (reply: WriterReply, transfer?: ArrayBuffer[]) => void;
  readonly #waiting: WriterRequest[] = [];
  #isFull = false;
  #isBlocked = false;
  #trimTimer: Timer | undefined;
  readonly #spaceTimer: Timer;
  readonly #onStep: OnStep;

  constructor(
    { folder, reserveBytes, applied, stepsModule }: Omit<
      Extract<WriterRequest, { kind: "open" }>,
      "kind"
    >,
    reply: (reply: WriterReply, transfer?: ArrayBuffer[]) => void,
  ) {
    this.#folder = folder;
    this.#reserveBytes = reserveBytes;
    this.#reply = reply;
    this.#onStep = listenerOf(stepsModule);
    this.#votes = new VoteFile(join(folder, "vote"));
    const { log, content } = openLog(join(folder, "log.db"), applied, this.#votes.vote.term);
    this.#log = log;
    reply({ kind: "opened", hardState: this.#votes.vote, content });
    this.#checkSpace();
    this.#spaceTimer = setInterval(() => this.#checkSpace(), SPACE_CHECK_MS);
    this.#trimLater();
  }

  take(request: WriterRequest): void {
    this.#waiting.push(request);
    while (!this.#isBlocked && this.#waiting.length > 0) this.#handle(this.#waiting.shift()!);
  }

  #handle(request: WriterRequest): void {
    switch (request.kind) {
      case "open":
        throw new Error("log writer opened twice");
      case "write":
        return this.#write(request);
      case "read": {
        const { peer, fromIndex, countMax, bytesMax } = request;
        const packed = packEntries(this.#log.read(fromIndex, countMax, bytesMax));
        return this.#reply({ kind: "read", peer, fromIndex, packed }, [packed.buffer]);
      }
      case "compact":
        return this.#compact(request.through);
      case "close":
        clearInterval(this.#spaceTimer);
        clearTimeout(this.#trimTimer);
        this.#log.close();
        this.#votes.close();
        return this.#reply({ kind: "closed" });
    }
  }

  #compact(through: LogPosition): void {
    try {
      this.#log.compact(through);
    } catch (error) {
      // The next one does what this one could not.
      if (!isDiskFull(error)) throw error;
      return;
    }
    this.#onStep("log-compacted");
    this.#trimLater();
  }

  #write(request: WriterRequest & { kind: "write" }): void {
    const startedMs = performance.now();
    try {
      // The vote goes first: entries of a term must never be durable before the term is.
      this.#onStep("log-writing");
      if (request.hardState) {
        this.#votes.save(request.hardState);
        this.#onStep("vote-saved");
      }
      const changes: LogChange[] = request.changes.map(({ packed, ...change }) => ({
        ...change,
        entries: packed ? adoptEntries(packed) : [],
      }));
      if (changes.length > 0) {
        this.#log.write(changes);
        this.#onStep(changes.some(({ reset }) => reset) ? "log-reset" : "log-committed");
      }
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      return this.#waitForSpace(request);
    }
    this.#reply({ kind: "written", seq: request.seq, tookMs: performance.now() - startedMs });
    this.#checkSpace();
  }

  /** Nothing was changed: the same batch is tried again until there is room for it. */
  #waitForSpace(request: WriterRequest): void {
    this.#tellFull(true, 0);
    this.#isBlocked = true;
    setTimeout(() => {
      this.#isBlocked = false;
      this.#waiting.unshift(request);
      const next = this.#waiting.shift()!;
      guarded(() => {
        this.#handle(next);
        while (!this.#isBlocked && this.#waiting.length > 0) this.#handle(this.#waiting.shift()!);
      });
    }, FULL_RETRY_MS);
  }

  #checkSpace(): void {
    if (this.#isBlocked) return;
    const { bavail, bsize } = statfsSync(this.#folder);
    // It must be back by some more, or it would be lost again with the next write.
    const reserveBytes = this.#reserveBytes * (this.#isFull ? 1.25 : 1);
    this.#tellFull(bavail * bsize < reserveBytes, bavail * bsize);
  }

  #tellFull(isFull: boolean, freeBytes: number): void {
    if (isFull === this.#isFull) return;
    this.#isFull = isFull;
    this.#reply({ kind: "disk-full-changed", isFull, freeBytes });
  }

  #trimLater(pauseMs = TRIM_PAUSE_MS): void {
    this.#trimTimer ??= setTimeout(() => {
      this.#trimTimer = undefined;
      guarded(() => this.#trim());
    }, pauseMs);
  }

  #trim(): void {
    if (this.#isBlocked) return this.#trimLater(FULL_RETRY_MS);
    try {
      if (!this.#log.trimSlice()) return;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      return this.#trimLater(FULL_RETRY_MS);
    }
    this.#onStep("log-trimmed");
    this.#trimLater();
  }
}

/** A disk that fails otherwise can be trusted with nothing: the server must stop. */
function guarded(work: () => void): void {
  try {
    work();
  } catch (error) {
    self.postMessage({ kind: "failed", reason: String(error) } satisfies WriterReply);
  }
}

declare const self: Worker;
let writer: LogWriter | undefined;
if (!Bun.isMainThread) {
  self.onmessage = ({ data }: MessageEvent<WriterRequest>) => {
    guarded(() => {
      if (data.kind !== "open") return writer!.take(data);
      writer = new LogWriter(
        data,
        (reply, transfer) => self.postMessage(reply, transfer ?? []),
      );
    });
  };
}
