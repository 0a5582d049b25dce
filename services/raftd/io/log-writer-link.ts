// The consensus thread's end of the log writer: while one batch is on its way to the disk, the next
// one gathers (group commit).

import { workerFile } from "#shared/worker-file.ts";
import type { Effect, Persist } from "../core/raft/machine.ts";
import type { LogPosition } from "../core/raft/messages.ts";
import { packEntries } from "./entry-codec.ts";
import type { WriterReply, WriterRequest } from "./log-writer.ts";

type OpenRequest = Extract<WriterRequest, { kind: "open" }>;
type ReadLog = Omit<Extract<Effect, { kind: "read-log" }>, "kind">;

export class LogWriterLink {
  readonly #worker: Worker;
  #gathered: Persist[] = [];
  #isWriting = false;

  constructor(
    { folder, reserveBytes, applied, stepsModule }: Omit<OpenRequest, "kind">,
    reply: (reply: WriterReply) => void,
  ) {
    this.#worker = new Worker(workerFile("services/raftd/io/log-writer.ts"));
    this.#worker.onmessage = ({ data }: MessageEvent<WriterReply>) => {
      if (data.kind === "written") this.#isWriting = false;
      reply(data);
      if (data.kind === "written") this.flush();
      if (data.kind === "closed") this.#worker.terminate();
    };
    this.#worker.onerror = (event) => reply({ kind: "failed", reason: event.message });
    this.#post({ kind: "open", folder, reserveBytes, applied, stepsModule });
  }

  persist(effect: Persist): void {
    this.#gathered.push(effect);
  }

  read(request: ReadLog): void {
    this.#post({ ...request, kind: "read" });
  }

  compact(through: LogPosition): void {
    this.#post({ kind: "compact", through });
  }

  close(): void {
    this.flush();
    this.#post({ kind: "close" });
  }

  /** Sends what has gathered, unless a batch is under way: its answer sends the rest. */
  flush(): void {
    if (this.#isWriting || this.#gathered.length === 0) return;
    this.#isWriting = true;
    const gathered = this.#gathered;
    this.#gathered = [];
    const changes = mergeAppends(gathered).map(({ entries, ...change }) => ({
      ...change,
      packed: entries.length > 0 ? packEntries(entries) : undefined,
    }));
    this.#post(
      {
        kind: "write",
        seq: gathered[gathered.length - 1]!.seq,
        hardState: gathered.findLast(({ hardState }) => hardState !== undefined)?.hardState,
        changes,
      },
      changes.flatMap(({ packed }) => (packed ? [packed.buffer] : [])),
    );
  }

  #post(request: WriterRequest, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, transfer);
  }
}

type Change = Pick<Persist, "reset" | "truncateFrom" | "entries">;

/** Appends that follow each other as one; what only changes the vote falls away. */
function mergeAppends(persists: readonly Persist[]): Change[] {
  const changes: Change[] = [];
  for (const { reset, truncateFrom, entries } of persists) {
    const last = changes[changes.length - 1];
    if (reset === undefined && truncateFrom === undefined) {
      if (entries.length === 0) continue;
      if (last !== undefined) {
        changes[changes.length - 1] = { ...last, entries: last.entries.concat(entries) };
        continue;
      }
    }
    changes.push({ reset, truncateFrom, entries });
  }
  return changes;
}
