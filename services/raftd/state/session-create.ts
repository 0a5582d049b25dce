// What a new session needs of the catalog (Consul: agent/consul/state session).

import type { Session } from "#proto/messages.js";
import { sessionFault } from "#shared/consul/session.ts";
import type { Tables } from "./tables.ts";
import { sessionCheckIds } from "./tables/sessions.ts";

/** The proposer judges the TTL, whose lower bound is a setting of servers. */
export function createSession(draft: Session, tables: Tables): string | undefined {
  const fault = sessionFault({ ...draft, ttl: "" });
  if (fault !== undefined) return fault;
  if (draft.id === "") return "apply failed: Must provide session ID";
  if (tables.sessions.find(draft.id) !== undefined) {
    return `apply failed: Session '${draft.id}' exists`;
  }
  if (tables.nodes.find("", draft.node) === undefined) {
    return "apply failed: Missing node registration";
  }
  for (const id of sessionCheckIds(draft)) {
    const check = tables.checks.find("", draft.node, id);
    if (check === undefined) return `apply failed: Missing check '${id}' registration`;
    if (check.status === "critical") return `apply failed: Check '${id}' is in critical state`;
  }
  const behavior = draft.behavior === "" ? "release" : draft.behavior;
  tables.sessions.insert({ ...draft, behavior });
  return undefined;
}
