// Parameters that several lists of rows share: filter, near, and what tells their answers apart.

import type { QueryInput, ReadReply } from "#proto/messages.js";
import { compileFilter, type Shape } from "../../core/filter/evaluate.ts";
import { FilterError } from "../../core/filter/expression.ts";
import { HttpError } from "../../core/http-error.ts";
import type { Json } from "../../core/json-writer.ts";
import { sortByDistance } from "../../core/near.ts";
import type { Call } from "../call.ts";

export type Keep = (row: Json) => boolean;

export function filterOf(call: Call, shape: Shape, rewrite = (text: string) => text): Keep {
  const text = call.query.get("filter");
  if (text === "") return () => true;
  try {
    return compileFilter(text, shape);
  } catch (error) {
    if (error instanceof FilterError) throw new HttpError(500, rewrite(error.message));
    throw error;
  }
}

export interface Near {
  /** The node to measure from; empty: rows keep their order. */
  source: string;
  also: QueryInput | undefined;
}

export function nearOf(call: Call, ownNode: string): Near {
  const named = call.query.get("near");
  if (named === "") return { source: "", also: undefined };
  return { source: named === "_agent" ? ownNode : named, also: { coordinates: {} } };
}

export function sorted<Row>(
  rows: readonly Row[],
  nodeOf: (row: Row) => string,
  near: Near,
  also: ReadReply | undefined,
): readonly Row[] {
  if (near.source === "" || also === undefined) return rows;
  return sortByDistance(rows, nodeOf, near.source, also.coordinates);
}

const rowParameters = [
  "filter",
  "node-meta",
  "tag",
  "passing",
  "peer",
  "merge-central-config",
  "segment",
];

/** What of a request decides the bytes of its answer. */
export function renderKey(call: Call): string {
  let key = `${call.layout} ${JSON.stringify(call.rest)}`;
  for (const name of rowParameters) {
    if (call.query.has(name)) key += ` ${name}=${JSON.stringify(call.query.all(name))}`;
  }
  return key;
}
