// Checks a filter against what an endpoint's rows have, and says which rows it keeps. Operators by
// type, any-element selection and missing map keys follow go-bexpr (spec: http-api 4.2).

import type { Json, JsonFields } from "../json-writer.ts";
import { type Expression, FilterError } from "./expression.ts";
import { parseFilter } from "./parse.ts";
import { compileRegexp } from "./regexp.ts";

export type Shape =
  | { kind: "string" | "int" | "uint" | "float" | "bool" }
  | { kind: "list"; of: Shape }
  | { kind: "map"; of: Shape }
  | { kind: "struct"; fields: Readonly<Record<string, Shape>> };

type Test = (row: Json) => boolean;

const prefix = "Failed to create boolean expression evaluator: ";

/** A test of rows as they are rendered. Throws FilterError with Consul's text. */
export function compileFilter(text: string, shape: Shape): Test {
  try {
    return compile(parseFilter(text), shape);
  } catch (error) {
    if (error instanceof FilterError) throw new FilterError(prefix + error.message);
    throw error;
  }
}

/** The text of a filter error without its first words, as Consul's streaming reads show it. */
export function bareFilterText(text: string): string {
  return text.startsWith(prefix) ? text.slice(prefix.length) : text;
}

function compile(expression: Expression, shape: Shape): Test {
  switch (expression.kind) {
    case "and": {
      const left = compile(expression.left, shape), right = compile(expression.right, shape);
      return (row) => left(row) && right(row);
    }
    case "or": {
      const left = compile(expression.left, shape), right = compile(expression.right, shape);
      return (row) => left(row) || right(row);
    }
    case "not": {
      const operand = compile(expression.operand, shape);
      return (row) => !operand(row);
    }
    case "match":
      return compileMatch(expression, shape);
  }
}

type Match = Extract<Expression, { kind: "match" }>;

function compileMatch(match: Match, shape: Shape): Test {
  const selector = match.selector.join(".");
  let at = shape;
  for (const part of match.selector) at = descend(at, part, selector);
  const test = leafTest(match, at, selector);
  /** What a key that a map does not have makes of the match. */
  const onMissing = match.operator === "empty"
    ? !match.isNegated
    : match.operator === "matches"
    ? true
    : match.isNegated;
  return (row) => walk(row, shape, match.selector, 0, test, onMissing);
}

function descend(shape: Shape, part: string, selector: string): Shape {
  const invalid = () => new FilterError(`Selector ${JSON.stringify(selector)} is not valid`);
  if (shape.kind === "list" && shape.of.kind === "struct") return descend(shape.of, part, selector);
  if (shape.kind === "map") return shape.of;
  if (shape.kind !== "struct" || !Object.hasOwn(shape.fields, part)) throw invalid();
  return shape.fields[part]!;
}

function walk(
  value: Json,
  shape: Shape,
  selector: readonly string[],
  depth: number,
  test: Test,
  onMissing: boolean,
): boolean {
  if (depth === selector.length) return test(value);
  const part = selector[depth]!;
  if (shape.kind === "list") {
    const items = Array.isArray(value) ? value : [];
    return items.some((item) => walk(item, shape.of, selector, depth, test, onMissing));
  }
  if (shape.kind === "map") {
    const map = value instanceof Map ? value as ReadonlyMap<string, Json> : undefined;
    if (map === undefined || !map.has(part)) return onMissing;
    return walk(map.get(part), shape.of, selector, depth + 1, test, onMissing);
  }
  if (shape.kind !== "struct") return false;
  const fields = value as JsonFields | undefined | null;
  return walk(fields?.[part], shape.fields[part]!, selector, depth + 1, test, onMissing);
}

const operatorNames: Record<string, string> = {
  "equal": "Equal",
  "not equal": "Not Equal",
  "in": "In",
  "not in": "Not In",
  "empty": "Is Empty",
  "not empty": "Is Not Empty",
  "matches": "Matches",
  "not matches": "Not Matches",
};

function leafTest(match: Match, shape: Shape, selector: string): Test {
  const { operator, isNegated, value } = match;
  const refuse = () => {
    const name = operatorNames[(isNegated ? "not " : "") + operator];
    return new FilterError(`Invalid match operator "${name}" for selector "${selector}"`);
  };
  const sign = (test: Test): Test => isNegated ? (row) => !test(row) : test;
  switch (shape.kind) {
    case "string":
      if (operator === "equal") return sign((row) => (row ?? "") === value);
      if (operator === "in") return sign((row) => String(row ?? "").includes(value));
      if (operator === "matches") {
        const pattern = compileRegexp(value);
        return sign((row) => pattern.test(String(row ?? "")));
      }
      throw refuse();
    case "int":
    case "uint":
    case "float":
    case "bool": {
      if (operator !== "equal") throw refuse();
      const wanted = coerce(value, shape.kind, selector);
      const zero = shape.kind === "bool" ? "false" : "0";
      return sign((row) => String(row ?? zero) === wanted);
    }
    case "list": {
      const isEmpty: Test = (row) => !Array.isArray(row) || row.length === 0;
      if (operator === "empty") return sign(isEmpty);
      if (operator !== "in" || shape.of.kind === "struct") throw refuse();
      return sign((row) => Array.isArray(row) && row.some((item) => String(item) === value));
    }
    case "map":
      if (operator === "empty") return sign((row) => !(row instanceof Map) || row.size === 0);
      if (operator === "in") return sign((row) => row instanceof Map && row.has(value));
      throw refuse();
    case "struct":
      throw new FilterError(`Selector ${JSON.stringify(selector)} is not valid`);
  }
}

/** The value of a number or boolean, in the form in which rows print it. */
function coerce(value: string, kind: "int" | "uint" | "float" | "bool", selector: string): string {
  const refuse = (call: string) =>
    new FilterError(
      `Failed to coerce value "${value}" for selector "${selector}": ` +
        `strconv.${call}: parsing ${JSON.stringify(value)}: invalid syntax`,
    );
  if (kind === "bool") {
    if (/^(1|t|T|TRUE|true|True)$/.test(value)) return "true";
    if (/^(0|f|F|FALSE|false|False)$/.test(value)) return "false";
    throw refuse("ParseBool");
  }
  if (kind === "float") {
    if (value.trim() !== value || value === "" || Number.isNaN(Number(value))) {
      throw refuse("ParseFloat");
    }
    return String(Number(value));
  }
  const call = kind === "int" ? "ParseInt" : "ParseUint";
  const literal = kind === "int"
    ? /^[+-]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9]\d*)$/
    : /^(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9]\d*)$/;
  if (!literal.test(value)) throw refuse(call);
  const sign = value.startsWith("-") ? "-" : "";
  const digits = value.replace(/^[+-]/, "").replace(/^0(?=[0-7])/, "0o");
  const number = BigInt(digits);
  return number === 0n ? "0" : sign + number.toString();
}
