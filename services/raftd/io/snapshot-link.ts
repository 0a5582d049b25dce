// The main thread's side of a worker for state files and archives. It does one job after the other,
// and ends when it has had none for a while: its memory is worth more than its start.

import { CuriaError, type ErrorCode } from "#shared/errors.ts";
import { workerFile } from "#shared/worker-file.ts";
import type * as jobs from "./snapshot-jobs.ts";

type Functions = typeof jobs;
type JobName = keyof Functions;

export interface JobQuestion {
  id: number;
  name: JobName;
  parts: unknown[];
}

export interface JobAnswer {
  id: number;
  result?: unknown;
  error?: { code: ErrorCode; message: string };
}

const IDLE_MS = 10_000;

export class SnapshotLink {
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #worker: Worker | undefined;
  #lastId = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  run<Name extends JobName>(
    name: Name,
    ...parts: Parameters<Functions[Name]>
  ): Promise<Awaited<ReturnType<Functions[Name]>>> {
    if (this.#isStopped) return Promise.reject(stopping());
    clearTimeout(this.#idle);
    const answer = Promise.withResolvers<unknown>();
    const question: JobQuestion = { id: ++this.#lastId, name, parts };
    this.#waiting.set(question.id, answer);
    (this.#worker ??= this.#open()).postMessage(question);
    return answer.promise as Promise<Awaited<ReturnType<Functions[Name]>>>;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#idle);
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#failAll(stopping());
  }

  #open(): Worker {
    const worker = new Worker(workerFile("services/raftd/io/snapshot-worker.ts"));
    worker.onmessage = ({ data }: { data: JobAnswer }) => {
      const { id, error } = data;
      const answer = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (this.#waiting.size === 0) this.#endLater();
      if (error === undefined) answer?.resolve(data.result);
      else answer?.reject(new CuriaError(error.code, error.message));
    };
    worker.onerror = (event) => {
      if (this.#worker === worker) this.#worker = undefined;
      worker.terminate();
      this.#failAll(new CuriaError("internal", `the snapshot worker failed: ${event.message}`));
    };
    return worker;
  }

  #endLater(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      this.#worker?.terminate();
      this.#worker = undefined;
    }, IDLE_MS);
    this.#idle.unref();
  }

  #failAll(error: CuriaError): void {
    for (const answer of this.#waiting.values()) answer.reject(error);
    this.#waiting.clear();
  }
}

function stopping(): CuriaError {
  return new CuriaError("unavailable", "raftd is stopping");
}
