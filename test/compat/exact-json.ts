// JSON whose integers stay exact: as bigint, whatever their size. Fractions are numbers.

import type { Env } from "./http-match.ts";
import { fill, lookup } from "./http-match.ts";

export type Exact = string | bigint | number | boolean | null | Exact[] | { [key: string]: Exact };

const mark = "\u0001int:";

export function exactJson(text: string): Exact {
  // Integers outside of strings are turned into marked strings, and those into bigints.
  const marked = text.replace(
    /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g,
    (token) => /^-?\d+$/.test(token) ? JSON.stringify(mark + token) : token,
  );
  return JSON.parse(
    marked,
    (_key, value) =>
      typeof value === "string" && value.startsWith(mark)
        ? BigInt(value.slice(mark.length))
        : value,
  ) as Exact;
}

/** Compact JSON with `${x}` and `{"$ref": x}` filled in. */
export function plainJson(value: Exact, env: Env): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return JSON.stringify(fill(value, env));
  if (Array.isArray(value)) return `[${value.map((item) => plainJson(item, env)).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const keys = Object.keys(value);
  if (keys.length === 1 && keys[0] === "$ref") {
    return plainJson(lookup(value.$ref as string, env), env);
  }
  const pairs = keys.map((key) =>
    `${JSON.stringify(fill(key, env))}:${plainJson(value[key]!, env)}`
  );
  return `{${pairs.join(",")}}`;
}
