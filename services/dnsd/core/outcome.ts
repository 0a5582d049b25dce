// What an answerer says of a name, before it becomes a reply.

import type { AnswerGroup } from "./message.ts";
import { rcodes, type ResourceRecord } from "./records/records.ts";

export interface Outcome {
  rcode: number;
  /** The zone's SOA goes into the authority section (negative caching, RFC 2308). */
  showsSoa: boolean;
  answer: ResourceRecord[];
  groups: AnswerGroup[];
  take: number | undefined;
  shuffled: boolean;
  additional: ResourceRecord[];
  /** The answer was chosen for the client's subnet. */
  scoped: boolean;
}

/** An outcome with the rest of the reply. */
export interface Said extends Outcome {
  authority: ResourceRecord[];
}

const bare: Outcome = {
  rcode: rcodes.NOERROR,
  showsSoa: false,
  answer: [],
  groups: [],
  take: undefined,
  shuffled: true,
  additional: [],
  scoped: false,
};

export const nameError: Outcome = { ...bare, rcode: rcodes.NXDOMAIN, showsSoa: true };
export const serverFailure: Outcome = { ...bare, rcode: rcodes.SERVFAIL };
/** The name exists, but has nothing of this type; without SOA, as Consul says it of nodes. */
export const empty: Outcome = bare;

export function outcome(parts: Partial<Outcome>): Outcome {
  return { ...bare, ...parts };
}
