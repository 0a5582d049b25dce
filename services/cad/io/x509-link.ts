// Certificates are made in a worker that ends when nobody needs one for a while: the library takes
// more memory than all the rest of cad.

import { workerFile } from "#shared/worker-file.ts";
import type * as functions from "./x509.ts";

type Functions = typeof functions;
export type X509 = {
  [Name in keyof Functions]: (
    ...parts: Parameters<Functions[Name]>
  ) => Promise<Awaited<ReturnType<Functions[Name]>>>;
};

export interface X509Question {
  id: number;
  name: keyof Functions;
  parts: unknown[];
}

export interface X509Answer {
  id: number;
  result?: unknown;
  error?: string;
}

const idleMs = 30_000;

export class X509Link {
  readonly functions: X509;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #worker: Worker | undefined;
  #lastId = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    const ask = (name: keyof Functions) => (...parts: unknown[]) => this.#ask(name, parts);
    this.functions = {
      generateKey: ask("generateKey"),
      makeRoot: ask("makeRoot"),
      crossSign: ask("crossSign"),
      signLeaf: ask("signLeaf"),
      makeRequest: ask("makeRequest"),
      readRequest: ask("readRequest"),
      certificateFacts: ask("certificateFacts"),
    } as X509;
  }

  stop(): void {
    clearTimeout(this.#idle);
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#failAll("cad stops");
  }

  #ask(name: keyof Functions, parts: unknown[]): Promise<unknown> {
    clearTimeout(this.#idle);
    const answer = Promise.withResolvers<unknown>();
    const question: X509Question = { id: ++this.#lastId, name, parts };
    this.#waiting.set(question.id, answer);
    (this.#worker ??= this.#open()).postMessage(question);
    return answer.promise;
  }

  #open(): Worker {
    const worker = new Worker(workerFile("services/cad/io/x509-worker.ts"));
    worker.onmessage = ({ data }: { data: X509Answer }) => {
      const answer = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error === undefined) answer?.resolve(data.result);
      else answer?.reject(new Error(data.error));
      if (this.#waiting.size === 0) this.#endLater();
    };
    worker.onerror = (event) => {
      if (this.#worker === worker) this.#worker = undefined;
      worker.terminate();
      this.#failAll(`the certificate worker failed: ${event.message}`);
    };
    return worker;
  }

  #endLater(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      this.#worker?.terminate();
      this.#worker = undefined;
    }, idleMs);
    this.#idle.unref();
  }

  #failAll(reason: string): void {
    for (const answer of this.#waiting.values()) answer.reject(new Error(reason));
    this.#waiting.clear();
  }
}
