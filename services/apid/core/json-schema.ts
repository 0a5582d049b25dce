// Turns a JSON value into the fields an endpoint knows, by Go's rules: keys match in any case,
// unknown keys are refused where the endpoint is strict, the first problem is the one reported.

import { DurationError, parseDuration } from "#shared/consul/duration.ts";
import { JsonNumber, JsonObject, type JsonValue, readJson } from "./json-reader.ts";

export class DecodeError extends Error {
  override name = "DecodeError";
}

interface Step {
  /** Go's name of the type, for error texts. */
  type: string;
  read(value: JsonValue, at: Place): unknown;
}

/** Where in the document we are, and the first problem found so far. */
export interface Place {
  problem: { text?: string };
  path: string;
}

export interface ObjectShape {
  fields: Record<string, Step>;
  /** Other spellings: key in lower case → field. The field's own spelling wins when both came. */
  aliases?: Record<string, string>;
  /** Unknown keys are dropped instead of refused. */
  lenient?: boolean;
  /** Keys that are accepted and ignored. */
  ignored?: readonly string[];
}

export type Fields = Record<string, unknown>;

function fail(at: Place, text: string): undefined {
  at.problem.text ??= text;
  return undefined;
}

function mismatch(value: JsonValue, at: Place, type: string): undefined {
  const got = value instanceof JsonNumber
    ? "number"
    : value instanceof JsonObject
    ? "object"
    : Array.isArray(value)
    ? "array"
    : typeof value === "boolean"
    ? "bool"
    : "string";
  const where = at.path === "" ? "Go value" : `Go struct field ${at.path}`;
  return fail(at, `json: cannot unmarshal ${got} into ${where} of type ${type}`);
}

export const text: Step = {
  type: "string",
  read: (value, at) => typeof value === "string" ? value : mismatch(value, at, "string"),
};

export const bool: Step = {
  type: "bool",
  read: (value, at) => typeof value === "boolean" ? value : mismatch(value, at, "bool"),
};

export const float: Step = {
  type: "float64",
  read: (value, at) =>
    value instanceof JsonNumber ? Number(value.text) : mismatch(value, at, "float64"),
};

function integer(type: string, low: bigint, high: bigint, asBig: boolean): Step {
  return {
    type,
    read(value, at) {
      if (!(value instanceof JsonNumber)) return mismatch(value, at, type);
      const isWhole = /^-?\d+$/.test(value.text);
      const number = isWhole ? BigInt(value.text) : 0n;
      if (!isWhole || number < low || number > high) {
        const where = at.path === "" ? "Go value" : `Go struct field ${at.path}`;
        return fail(
          at,
          `json: cannot unmarshal number ${value.text} into ${where} of type ${type}`,
        );
      }
      return asBig ? number : Number(number);
    },
  };
}

export const int: Step = integer("int", -(1n << 63n), (1n << 63n) - 1n, false);
/** A bigint. */
export const uint64: Step = integer("uint64", 0n, (1n << 64n) - 1n, true);

/** Nanoseconds as a bigint; given as Go text or as a number of nanoseconds. */
export const duration: Step = {
  type: "time.Duration",
  read(value, at) {
    if (value instanceof JsonNumber) return BigInt(Math.trunc(Number(value.text)));
    if (typeof value !== "string") return mismatch(value, at, "time.Duration");
    if (value === "") return 0n;
    try {
      return parseDuration(value);
    } catch (error) {
      if (error instanceof DurationError) return fail(at, error.message);
      throw error;
    }
  },
};

/** Standard base64, decoded. */
export const bytes: Step = {
  type: "[]uint8",
  read(value, at) {
    if (typeof value !== "string") return mismatch(value, at, "[]uint8");
    const bad = value.search(/[^A-Za-z0-9+/=\r\n]/);
    const clean = value.replace(/[\r\n]/g, "");
    if (bad >= 0) return fail(at, `illegal base64 data at input byte ${bad}`);
    const padding = clean.search(/=/);
    if (clean.length % 4 !== 0) {
      return fail(at, `illegal base64 data at input byte ${clean.length - clean.length % 4}`);
    }
    if (padding >= 0 && !/^={1,2}$/.test(clean.slice(padding))) {
      return fail(at, `illegal base64 data at input byte ${padding}`);
    }
    return new Uint8Array(Buffer.from(clean, "base64"));
  },
};

/** Any JSON, kept as read. */
export const any: Step = { type: "interface {}", read: (value) => value };

export function list(item: Step): Step {
  const type = `[]${item.type}`;
  return {
    type,
    read(value, at) {
      if (!Array.isArray(value)) return mismatch(value, at, type);
      return value.map((entry) => entry === null ? zeroOf(item) : item.read(entry, at));
    },
  };
}

export function map(item: Step): Step {
  const type = `map[string]${item.type}`;
  return {
    type,
    read(value, at) {
      if (!(value instanceof JsonObject)) return mismatch(value, at, type);
      const out: Fields = Object.create(null);
      for (const [key, entry] of value.pairs) {
        out[key] = entry === null ? zeroOf(item) : item.read(entry, at);
      }
      return out;
    },
  };
}

function zeroOf(step: Step): unknown {
  return step.type === "string" ? "" : step.type.startsWith("[]") ? [] : {};
}

export function object(name: string, shape: ObjectShape): Step {
  const known = new Map<string, string>();
  for (const field of Object.keys(shape.fields)) known.set(field.toLowerCase(), field);
  for (const key of shape.ignored ?? []) known.set(key.toLowerCase(), "");
  const aliases = new Map(Object.entries(shape.aliases ?? {}));
  return {
    type: name,
    read(value, at) {
      if (!(value instanceof JsonObject)) return mismatch(value, at, name);
      const out: Fields = {};
      const later: Fields = {};
      for (const [key, entry] of value.pairs) {
        const lower = key.toLowerCase();
        const field = known.get(lower);
        const alias = field === undefined ? aliases.get(lower) : undefined;
        const target = field ?? alias;
        if (target === undefined) {
          if (shape.lenient !== true) fail(at, `json: unknown field ${JSON.stringify(key)}`);
          continue;
        }
        if (target === "" || entry === null) continue;
        const step = shape.fields[target]!;
        const path = at.path === "" ? `${name}.${target}` : `${at.path}.${target}`;
        const read = step.read(entry, { problem: at.problem, path });
        if (alias === undefined) out[target] = read;
        else later[target] = read;
      }
      for (const key of Object.keys(later)) if (isZero(out[key])) out[key] = later[key];
      return out;
    },
  };
}

export function isZero(value: unknown): boolean {
  return value === undefined || value === null || value === "" || value === false ||
    value === 0 || value === 0n || (Array.isArray(value) && value.length === 0);
}

/** The first JSON value of `body` by this schema. Throws DecodeError or JsonSyntaxError. */
export function decode<T = Fields>(body: string, schema: Step): T {
  return fromJson<T>(readJson(body), schema);
}

export function fromJson<T = Fields>(value: JsonValue, schema: Step): T {
  const problem: { text?: string } = {};
  const read = value === null ? zeroOf(schema) : schema.read(value, { problem, path: "" });
  if (problem.text !== undefined) throw new DecodeError(problem.text);
  return read as T;
}

export type Schema = Step;
