// Serial numbers of certificates: a counter in the replicated state, so that no two certificates of
// the datacenter share one, whoever leads.

import type { CaRoot } from "../core/roots.ts";
import type { DocumentStore } from "./documents.ts";

const kind = "system-metadata";
const id = "curia-connect-ca-serial";
/** Leaves signed before a snapshot was restored have serials that nobody knows any more. */
const restoredGap = 2 ** 20;
const triesMax = 20;

interface Counter {
  Key: string;
  Value: string;
}

export interface Issued {
  serial: number;
  /** The log index of the entry that drew it: the index of the certificate. */
  index: number;
}

export class Serials {
  readonly #documents: DocumentStore;
  #known: { value: number; modifyIndex: number } | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(documents: DocumentStore) {
    this.#documents = documents;
  }

  /** One after another: each draw is an entry of the log. */
  next(): Promise<Issued> {
    const drawn = this.#last.then(() => this.#draw());
    this.#last = drawn.catch(() => {});
    return drawn;
  }

  async #draw(): Promise<Issued> {
    for (let tries = 0; tries < triesMax; tries++) {
      const known = this.#known ??= await this.#read();
      const serial = known.value + 1;
      const body: Counter = { Key: id, Value: String(serial) };
      const index = await this.#documents.swap(kind, id, known.modifyIndex, body);
      if (index !== undefined) {
        this.#known = { value: serial, modifyIndex: index };
        return { serial, index };
      }
      this.#known = undefined;
    }
    throw new Error("the serial number of a certificate could not be drawn");
  }

  async #read(): Promise<{ value: number; modifyIndex: number }> {
    const { rows, appliedIndex } = await this.#documents.list<Counter>(kind);
    const row = rows.find((candidate) => candidate.id === id);
    if (row !== undefined) return { value: Number(row.body.Value), modifyIndex: row.modifyIndex };
    const roots = await this.#documents.list<CaRoot>("ca-root");
    const highest = Math.max(appliedIndex, ...roots.rows.map((root) => root.body.SerialNumber));
    return { value: roots.rows.length === 0 ? highest : highest + restoredGap, modifyIndex: 0 };
  }
}
