// Status of a check that mirrors another service or node: worst of its checks.

import type { CheckRow } from "./model.ts";

export interface AliasTarget {
  /** Empty: the node's own checks only. */
  serviceId: string;
  /** As given in the definition: empty on the own node. */
  node: string;
  /** The alias check itself, which never counts. */
  ownCheckId: string;
}

export interface Verdict {
  status: string;
  output: string;
}

/** `checks` are those of the service and of its node; `isKnown`: the service exists there. */
export function aliasVerdict(target: AliasTarget, checks: CheckRow[], isKnown: boolean): Verdict {
  if (target.serviceId !== "" && !isKnown) {
    return {
      status: "critical",
      output: `Service ${target.serviceId} could not be found on node ${target.node}`,
    };
  }
  let verdict: Verdict = { status: "passing", output: "No checks found." };
  for (const check of checks) {
    if (check.serviceId !== "" && check.serviceId !== target.serviceId) continue;
    if (target.node === "" && check.checkId === target.ownCheckId) continue;
    if (check.status === "critical" || check.status === "warning") {
      verdict = {
        status: check.status,
        output: `Aliased check "${check.name}" failing: ${check.output}`,
      };
      if (check.status === "critical") return verdict;
    } else if (verdict.status === "passing") {
      verdict = { status: "passing", output: "All checks passing." };
    }
  }
  return verdict;
}
