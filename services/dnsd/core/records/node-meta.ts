// Node metadata as TXT records (RFC 1464, or the bare value for keys that begin with `rfc1035-`).

import { unescapeText } from "../domain-name.ts";
import type { TxtRecord } from "./records.ts";
import type { NodeRow } from "../view.ts";

export function metaRecords(node: NodeRow, owner: string, ttlSeconds: number): TxtRecord[] {
  return Object.entries(node.meta).map(([key, value]) => {
    const text = key.toLowerCase().startsWith("rfc1035-")
      ? value
      : `${escapeKey(key)}=${value.replaceAll("`", "``")}`;
    return { kind: "TXT", owner, ttlSeconds, bytes: unescapeText(text) };
  });
}

/** Spaces count only at the ends: inside they need no escape. */
function escapeKey(key: string): string {
  const quoted = key.replaceAll("`", "``").replaceAll("=", "`=");
  const lead = quoted.length - quoted.trimStart().length;
  if (lead === quoted.length) return "` ".repeat(lead);
  const trail = quoted.length - quoted.trimEnd().length;
  return "` ".repeat(lead) + quoted.slice(lead, quoted.length - trail) + "` ".repeat(trail);
}
