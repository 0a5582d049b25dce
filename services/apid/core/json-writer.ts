// JSON as Go's encoding/json prints it: HTML-safe escapes, map keys in byte order, exact 64-bit
// numbers, struct fields in the order in which they were declared.

/** Text that goes into the output as it is: numbers beyond 2^53, JSON rendered before. */
export class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Json =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | Raw
  | readonly Json[]
  | ReadonlyMap<string, Json>
  | JsonFields;

/** A Go struct: keys in order; a field whose value is `undefined` is omitted. */
export interface JsonFields {
  readonly [key: string]: Json;
}

// deno-lint-ignore no-control-regex
const special = /[\u0000-\u001f"\\<>&\u2028\u2029\ud800-\udfff]/;
const surrogates = "[\\ud800-\\udbff][\\udc00-\\udfff]|[\\ud800-\\udfff]";
const specials = new RegExp(`[\\u0000-\\u001f"\\\\<>&\\u2028\\u2029]|${surrogates}`, "g");
const shortEscapes: Record<string, string> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** A string literal. Lone surrogates become U+FFFD, as Go does with invalid UTF-8. */
export function quoteJson(text: string): string {
  if (!special.test(text)) return `"${text}"`;
  return `"${text.replace(specials, escapeOne)}"`;
}

function escapeOne(found: string): string {
  if (found.length === 2) return found;
  const short = shortEscapes[found];
  if (short !== undefined) return short;
  const code = found.charCodeAt(0);
  if (code >= 0xd800 && code <= 0xdfff) return "\\ufffd";
  return `\\u${code.toString(16).padStart(4, "0")}`;
}

export function writeJson(value: Json): string {
  switch (typeof value) {
    case "string":
      return quoteJson(value);
    case "number":
      return Number.isFinite(value) ? String(value) : "0";
    case "bigint":
      return value.toString();
    case "boolean":
      return value ? "true" : "false";
    case "undefined":
      return "null";
    default:
  }
  if (value === null) return "null";
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return writeList(value);
  if (value instanceof Map) return writeMap(value);
  let out = "{";
  const fields = value as JsonFields;
  for (const key in fields) {
    const item = fields[key];
    if (item === undefined) continue;
    if (out.length > 1) out += ",";
    out += `"${key}":${writeJson(item)}`;
  }
  return out + "}";
}

function writeList(items: readonly Json[]): string {
  let out = "[";
  for (let i = 0; i < items.length; i++) {
    if (i > 0) out += ",";
    out += writeJson(items[i]);
  }
  return out + "]";
}

function writeMap(map: ReadonlyMap<string, Json>): string {
  let out = "{";
  for (const key of [...map.keys()].sort(byBytes)) {
    if (out.length > 1) out += ",";
    out += `${quoteJson(key)}:${writeJson(map.get(key))}`;
  }
  return out + "}";
}

/** Order of the UTF-8 bytes, which differs from UTF-16 order only beyond the surrogates. */
export function byBytes(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i), y = b.charCodeAt(i);
    if (x === y) continue;
    const isHighX = x >= 0xd800 && x <= 0xdfff, isHighY = y >= 0xd800 && y <= 0xdfff;
    if (isHighX !== isHighY) return isHighX ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

/** A string map of the wire as a sorted JSON object. */
export function mapOf(record: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(record));
}

/** Compact JSON laid out as `?pretty` shows it: four spaces, empty objects and lists closed. */
export function indentJson(compact: string): string {
  let out = "";
  let depth = 0;
  let isInString = false;
  let start = 0;
  const flush = (end: number) => out += compact.slice(start, end);
  const newline = () => out += "\n" + "    ".repeat(depth);
  for (let i = 0; i < compact.length; i++) {
    const char = compact[i];
    if (isInString) {
      if (char === "\\") i++;
      else if (char === '"') isInString = false;
      continue;
    }
    if (char === '"') isInString = true;
    else if (char === "{" || char === "[") {
      const next = compact[i + 1];
      if (next === "}" || next === "]") {
        i++;
        continue;
      }
      flush(i + 1);
      depth++;
      newline();
      start = i + 1;
    } else if (char === "}" || char === "]") {
      flush(i);
      depth--;
      newline();
      start = i;
    } else if (char === ",") {
      flush(i + 1);
      newline();
      start = i + 1;
    } else if (char === ":") {
      flush(i + 1);
      out += " ";
      start = i + 1;
    }
  }
  flush(compact.length);
  return out;
}
