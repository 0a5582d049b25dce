// A reply against what a recorded case expects: undefined when it agrees, else what differs.

import { type CaseQuery, escapeLabel, labelsOf, type ParsedReply } from "./dns-message.ts";

export type ExpectedSection = string[] | {
  count?: number | [number, number];
  from?: string[];
  pattern?: string;
  distinct?: boolean;
};

export interface Expected {
  rcode?: string;
  flags?: string[];
  answer?: ExpectedSection;
  authority?: ExpectedSection;
  additional?: ExpectedSection;
  edns?: Record<string, unknown> | null;
  max_size?: number;
  min_size?: number;
  compressed?: boolean;
  question?: string[];
  silent?: boolean;
  orders_min?: number;
  orders_max?: number;
  union_min?: number;
  glue?: boolean;
}

export interface DnsCase {
  name: string;
  config: string;
  query: CaseQuery;
  expect: Expected;
}

/** Sends one question; undefined: no reply came. */
export type Asker = (query: CaseQuery) => Promise<ParsedReply | undefined>;

export async function checkCase(
  { query, expect }: DnsCase,
  ask: Asker,
): Promise<string | undefined> {
  const orders = new Set<string>();
  const union = new Set<string>();
  const repeat = query.repeat ?? 1;
  for (let i = 0; i < repeat; i++) {
    const got = await ask(query);
    if (expect.silent === true) return got && `replied ${got.rcode}, want silence`;
    if (got === undefined) return "no reply";
    const problem = compareReply(expect, got, query);
    if (problem !== undefined) return problem;
    orders.add(got.answer.join("\n"));
    for (const row of got.answer) union.add(row);
  }
  if (orders.size < (expect.orders_min ?? 0)) {
    return `only ${orders.size} orders in ${repeat} replies`;
  }
  if (orders.size > (expect.orders_max ?? Infinity)) return `${orders.size} orders`;
  if (union.size < (expect.union_min ?? 0)) {
    return `only ${union.size} records in ${repeat} replies`;
  }
  return undefined;
}

export function compareReply(
  want: Expected,
  got: ParsedReply,
  query: CaseQuery,
): string | undefined {
  if (!got.isReply) return "QR is not set";
  const question = want.question ??
    (query.raw === undefined ? [`${shownName(query.name!)} ${query.type}`] : undefined);
  if (question !== undefined && !isSame(got.question, question)) {
    return `question ${got.question}, want ${question}`;
  }
  if (got.rcode !== want.rcode) return `rcode ${got.rcode}, want ${want.rcode}`;
  if (want.flags !== undefined && !isSame(got.flags, want.flags)) {
    return `flags ${got.flags}, want ${want.flags}`;
  }
  for (const section of ["answer", "authority", "additional"] as const) {
    const problem = want[section] && compareSection(want[section], got[section]);
    if (problem !== undefined) return `${section}: ${problem}`;
  }
  if (want.edns !== undefined && !Bun.deepEquals(got.edns, want.edns)) {
    return `EDNS ${JSON.stringify(got.edns)}, want ${JSON.stringify(want.edns)}`;
  }
  if (got.size > (want.max_size ?? Infinity)) return `${got.size} bytes, want ≤ ${want.max_size}`;
  if (got.size < (want.min_size ?? 0)) return `${got.size} bytes, want ≥ ${want.min_size}`;
  if (want.compressed !== undefined && got.compressed !== want.compressed) {
    return `compressed: ${got.compressed}`;
  }
  return want.glue === true ? missingGlue(got) : undefined;
}

function compareSection(want: ExpectedSection, got: string[]): string | undefined {
  if (Array.isArray(want)) {
    const missing = without(want, got);
    const unexpected = without(got, want);
    if (missing.length === 0 && unexpected.length === 0) return undefined;
    return `missing ${JSON.stringify(missing)}, unexpected ${JSON.stringify(unexpected)}`;
  }
  const [low, high] = typeof want.count === "number"
    ? [want.count, want.count]
    : want.count ?? [0, Infinity];
  if (got.length < low || got.length > high) return `${got.length} records, want ${want.count}`;
  const strange = want.from === undefined ? [] : without(got, want.from);
  if (strange.length > 0) return `not among the allowed: ${JSON.stringify(strange)}`;
  if (want.pattern !== undefined) {
    const pattern = new RegExp(`^(?:${want.pattern})$`);
    const bad = got.find((row) => !pattern.test(row));
    if (bad !== undefined) return `${bad} does not match ${want.pattern}`;
  }
  if (want.distinct === true && new Set(got).size !== got.length) return "duplicates";
  return undefined;
}

/** Multiset difference. */
function without(rows: string[], taken: string[]): string[] {
  const rest = [...taken];
  return rows.filter((row) => {
    const at = rest.indexOf(row);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

function missingGlue(reply: ParsedReply): string | undefined {
  const owners = new Set(reply.additional.map((row) => row.split(" ")[0]!.toLowerCase()));
  for (const row of reply.answer) {
    const fields = row.split(" ");
    if (fields[2] === "SRV" && !owners.has(fields[6]!.toLowerCase())) {
      return `SRV target ${fields[6]} has no additional record`;
    }
  }
  return undefined;
}

function isSame(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function shownName(name: string): string {
  return labelsOf(name).map(escapeLabel).join(".") + ".";
}
