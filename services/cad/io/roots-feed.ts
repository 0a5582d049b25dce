// Roots of the datacenter on every node, from a subscription: answers and waits for changes.

import { CuriaError } from "#shared/errors.ts";
import type { StateView } from "#shared/view.ts";
import type { CaConfigBody } from "../core/ca-config.ts";
import { activeRoot, type CaRoot, type KeptRoot, rootsBody, rootsPem } from "../core/roots.ts";

export const rootTopics = ["documents:ca-root", "documents:ca-config"];

export interface RootsAnswer {
  index: number;
  body: unknown;
  pem: string;
}

/** How long a question waits for the CA to be there at all. */
const holdMs = 7_000;

export class RootsFeed {
  readonly #view: StateView;
  #index = 0;
  #roots: KeptRoot[] = [];
  #clusterId = "";
  readonly #listeners = new Set<() => void>();

  constructor(view: StateView) {
    this.#view = view;
    view.onChange(() => this.#take());
    view.onComplete(() => this.#take());
  }

  get isReady(): boolean {
    return this.#clusterId !== "" && activeRoot(this.#roots) !== undefined;
  }

  get clusterId(): string {
    return this.#clusterId;
  }

  /** The key that signs leaves; empty: no root yet. */
  get signingKeyId(): string {
    return activeRoot(this.#roots)?.root.SigningKeyID ?? "";
  }

  get roots(): readonly KeptRoot[] {
    return this.#roots;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** At once, or when the index passes the known one, or after the wait. */
  async answer(knownIndex: number, waitMs: number): Promise<RootsAnswer> {
    await this.ready();
    if (knownIndex > 0 && this.#index <= knownIndex) {
      await this.#until(() => this.#index > knownIndex, waitMs);
    }
    return {
      index: this.#index,
      body: rootsBody(this.#clusterId, this.#roots),
      pem: rootsPem(this.#roots),
    };
  }

  async ready(): Promise<void> {
    await this.#until(() => this.isReady, holdMs);
    if (!this.isReady) throw new CuriaError("not-ready", "CA has not finished initializing");
  }

  #until(holds: () => boolean, maxMs: number): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        forget();
        resolve();
      };
      const timer = setTimeout(finish, maxMs);
      const forget = this.onChange(() => {
        if (holds()) finish();
      });
    });
  }

  #take(): void {
    const { documents } = this.#view.tables;
    const read = (json: Uint8Array) => JSON.parse(new TextDecoder().decode(json)) as unknown;
    const rows = [...documents.get("ca-root")?.values() ?? []];
    const config = [...documents.get("ca-config")?.values() ?? []][0];
    const roots = rows.map(({ bodyJson, createIndex, modifyIndex }) => ({
      root: read(bodyJson) as CaRoot,
      createIndex,
      modifyIndex,
    }));
    const newest = Math.max(0, config?.modifyIndex ?? 0, ...rows.map((row) => row.modifyIndex));
    // When a row went the rows that stay are no newer than before.
    const isShorter = roots.length < this.#roots.length;
    this.#index = isShorter ? this.#view.index : newest;
    this.#roots = roots;
    this.#clusterId = config === undefined ? "" : (read(config.bodyJson) as CaConfigBody).ClusterID;
    for (const listener of [...this.#listeners]) listener();
  }
}
