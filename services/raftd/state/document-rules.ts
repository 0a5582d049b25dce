// What some kinds of documents must satisfy against other rows.

import type { Document } from "#proto/messages.js";
import { quote } from "./keys.ts";
import type { Tables } from "./tables.ts";
import { parseObject } from "./tables/services.ts";

type Rule = (document: Document, tables: Tables) => string | undefined;

const rules: Record<string, Rule> = {
  "prepared-query": preparedQueryFault,
};

/** Consul's text when the document may not be stored as it is. */
export function documentFault(document: Document, tables: Tables): string | undefined {
  if (document.kind === "" || document.id === "") return "Must provide a kind and an id";
  return rules[document.kind]?.(document, tables);
}

function preparedQueryFault(document: Document, { sessions, documents }: Tables) {
  const { Session: session, Name: name } = parseObject(document.bodyJson);
  if (typeof session === "string" && session !== "" && sessions.find(session) === undefined) {
    return `invalid session ${quote(session)}`;
  }
  if (typeof name !== "string" || name === "") return undefined;
  for (const other of documents.list("prepared-query")) {
    if (other.id === document.id) continue;
    if (other.id === name.toLowerCase()) return `name '${name}' aliases an existing query ID`;
    const { Name: otherName } = parseObject(other.bodyJson);
    if (typeof otherName === "string" && otherName.toLowerCase() === name.toLowerCase()) {
      return `name '${name}' aliases an existing query name`;
    }
  }
  return undefined;
}
