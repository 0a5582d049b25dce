// Who may be a member of a pool: Consul's merge checks for LAN and WAN, and Curia's own, which keeps
// real Consul servers out unless they may be observed.
import { decodeTags, type Tags } from "../wire/tags.ts";
import { serverOf } from "./server.ts";

export type Admission =
  | { kind: "open" }
  | {
    kind: "lan";
    nodeName: string;
    nodeId: string;
    datacenter: string;
    /** Accept real Consul servers in the pool (migration.observe). */
    observe: boolean;
  }
  | { kind: "wan"; observe: boolean };

export interface Applicant {
  name: string;
  meta: Uint8Array | null;
  hasLeft: boolean;
}

/** Set in our tags; Consul's servers do not have it. */
export const curiaTag = "curia";

/** Why these must not enter, or undefined. */
export function admissionRefusal(
  admission: Admission,
  applicants: readonly Applicant[],
): string | undefined {
  if (admission.kind === "open") return undefined;
  const idHolders = new Map<string, string>();
  for (const applicant of applicants) {
    if (applicant.hasLeft) continue;
    const tags = decodeTags(applicant.meta);
    const refusal = foreignServerRefusal(admission, applicant.name, tags) ??
      (admission.kind === "wan"
        ? wanRefusal(applicant.name, tags)
        : lanRefusal(admission, applicant.name, tags, idHolders));
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function foreignServerRefusal(
  admission: Exclude<Admission, { kind: "open" }>,
  name: string,
  tags: Tags,
): string | undefined {
  if (admission.observe || tags.get("role") !== "consul" || tags.has(curiaTag)) return undefined;
  return `Member '${name}' is a Consul server; set migration.observe to share a pool with it`;
}

function wanRefusal(name: string, tags: Tags): string | undefined {
  return serverOf(tags) ? undefined : `Member '${name}' is not a server`;
}

function lanRefusal(
  admission: Extract<Admission, { kind: "lan" }>,
  name: string,
  tags: Tags,
  idHolders: Map<string, string>,
): string | undefined {
  const id = tags.get("id") ?? "";
  if (id !== "") {
    const isOurName = name.toLowerCase() === admission.nodeName.toLowerCase();
    if (id === admission.nodeId && !isOurName) {
      return `Member '${name}' has conflicting node ID '${id}' with this agent's ID`;
    }
    const holder = idHolders.get(id);
    if (holder !== undefined) {
      return `Member '${name}' has conflicting node ID '${id}' with member '${holder}'`;
    }
    idHolders.set(id, name);
  }
  const role = tags.get("role");
  const isAgent = role === "node" || (role === "consul" && serverOf(tags) !== undefined);
  if (isAgent && tags.get("dc") !== admission.datacenter) {
    return `Member '${name}' part of wrong datacenter '${tags.get("dc") ?? ""}'`;
  }
  return undefined;
}
