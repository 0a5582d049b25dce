// A filter as it was understood, and what is wrong with one that was not.

export class FilterError extends Error {
  override name = "FilterError";
}

export type Operator = "equal" | "in" | "matches" | "empty";

export type Expression =
  | { kind: "and" | "or"; left: Expression; right: Expression }
  | { kind: "not"; operand: Expression }
  | { kind: "match"; selector: string[]; operator: Operator; isNegated: boolean; value: string };

/** Go's escapes inside double quotes, as far as JSON knows them too. */
export function unquote(inner: string): string {
  if (!inner.includes("\\")) return inner;
  try {
    return JSON.parse(`"${inner}"`) as string;
  } catch {
    return inner;
  }
}
