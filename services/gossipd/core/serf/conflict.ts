// Another node has our name: the others are asked at which address they know it.
import { note, type Pool } from "../state.ts";
import { conflictQuery } from "./internal-queries.ts";
import { ask } from "./queries.ts";

export function startConflictVote(pool: Pool): void {
  if (!pool.settings.resolveConflicts) return;
  for (const { purpose } of pool.asks.values()) if (purpose.kind === "conflict") return;
  const refusal = ask(pool, { kind: "conflict" }, {
    name: conflictQuery,
    payload: new TextEncoder().encode(pool.settings.name),
    filters: [],
    wantsAcks: false,
    relayFactor: 0,
  });
  if (refusal !== undefined) note(pool, "warn", `name conflict: ${refusal}`);
}
