// Keeps the responder's catalog equal to the watched copy of the state, change by change, and tells
// it how fresh that copy is.

import type { ReadTables, StateView, Touched } from "#shared/view.ts";
import { Catalog } from "../core/catalog.ts";
import type { Responder } from "../core/responder.ts";

export const documentKinds = ["prepared-query", "config-entry", "service-virtual-ip"] as const;

export const viewTopics = ["catalog", ...documentKinds.map((kind) => `documents:${kind}`)];

/** Silence is noticed so soon. */
const contactMs = 250;

export type FeedView = Pick<StateView, "tables" | "isComplete" | "ages" | "onChange">;

export class CatalogFeed {
  readonly #view: FeedView;
  readonly #responder: Responder;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #stopListening: () => void;
  #catalog = new Catalog();

  constructor(view: FeedView, responder: Responder) {
    this.#view = view;
    this.#responder = responder;
    responder.replaceCatalog(this.#catalog);
    this.#stopListening = view.onChange((touched) => this.#changed(touched));
    this.#timer = setInterval(() => this.#updateContact(), contactMs);
    this.#timer.unref();
    if (view.isComplete) this.#rebuild();
    this.#updateContact();
  }

  get counts(): Catalog["counts"] {
    return this.#catalog.counts;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopListening();
  }

  #changed(touched: Touched): void {
    if (touched.isWhole) this.#rebuild();
    else {
      const { tables } = this.#view;
      for (const key of touched.nodes) this.#syncNode(tables, key);
      for (const key of touched.documents) this.#syncDocument(tables, key);
    }
    this.#updateContact();
  }

  /** The old catalog answers until the new one is whole. */
  #rebuild(): void {
    const { tables } = this.#view;
    this.#catalog = new Catalog();
    const keys = new Set([
      ...tables.nodes.keys(),
      ...tables.servicesByNode.keys(),
      ...tables.checksByNode.keys(),
    ]);
    for (const key of keys) this.#syncNode(tables, key);
    for (const kind of documentKinds) {
      for (const id of tables.documents.get(kind)?.keys() ?? []) {
        this.#syncDocument(tables, `${kind}/${id}`);
      }
    }
    this.#responder.replaceCatalog(this.#catalog);
  }

  #syncNode(tables: ReadTables, key: string): void {
    const split = key.indexOf("\0");
    this.#catalog.syncNode(
      split < 0 ? "" : key.slice(0, split),
      key.slice(split + 1),
      tables.nodes.get(key),
      tables.servicesByNode.get(key)?.values() ?? [],
      tables.checksByNode.get(key)?.values() ?? [],
    );
  }

  #syncDocument(tables: ReadTables, key: string): void {
    const split = key.indexOf("/");
    const kind = key.slice(0, split);
    const id = key.slice(split + 1);
    const row = tables.documents.get(kind)?.get(id);
    const body = row && parseBody(row.bodyJson);
    if (body === undefined) this.#catalog.deleteDocument(kind, id);
    else this.#catalog.setDocument(kind, id, body);
  }

  #updateContact(): void {
    const ages = this.#view.ages();
    this.#responder.contact = {
      complete: this.#view.isComplete,
      silentMs: ages.disconnectedMs,
      knownLeader: ages.knownLeader,
      lastContactMs: ages.leaderContactMs,
    };
  }
}

const decoder = new TextDecoder();

/** A body that cannot be read is as good as none. */
function parseBody(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes)) ?? undefined;
  } catch {
    return undefined;
  }
}
