// A parsed file against the key table: known keys with the right types, and the complaints that
// Consul makes about the rest.

import type { Key, KeyType } from "./key.ts";
import { definitionAliases } from "./keys/definition.ts";
import { acceptedKeys } from "./table.ts";

/** Dotted path → value of the type its row states; absent = not set. */
export type Settings = Map<string, unknown>;

export interface Decoded {
  settings: Settings;
  /** Dotted paths of keys that no row has. */
  unknown: string[];
  /** Values of the wrong type, in Consul's words. */
  errors: string[];
}

interface TreeNode {
  key: Key | null;
  children: Map<string, TreeNode>;
}

const trees = new WeakMap<readonly Key[], TreeNode>();

export function decode(raw: unknown, keys: readonly Key[] = acceptedKeys): Decoded {
  const decoded: Decoded = { settings: new Map(), unknown: [], errors: [] };
  decodeObject(raw, tree(keys), { here: "", full: "" }, decoded);
  return decoded;
}

/** Where a value stands: within its table, and in the whole file. */
interface Place {
  here: string;
  full: string;
}

function decodeObject(raw: unknown, node: TreeNode, place: Place, out: Decoded): void {
  const object = unwrap(raw);
  if (!isRecord(object)) {
    out.errors.push(`'${place.full}' expected a map, got '${goKind(object)}'`);
    return;
  }
  for (const [name, value] of Object.entries(object)) {
    const alias = definitionAliases.get(name) ?? name;
    const found = node.children.has(alias) ? alias : alias.toLowerCase();
    const child = node.children.get(found);
    const here = below(place.here, found);
    const full = below(place.full, child === undefined ? name : found);
    if (child === undefined) {
      out.unknown.push(full);
    } else if (value === null) {
      continue;
    } else if (child.key === null) {
      decodeObject(value, child, { here, full }, out);
    } else {
      const result = decodeValue(value, child.key, full, out);
      if (result !== undefined) out.settings.set(here, result);
    }
  }
}

function decodeValue(raw: unknown, key: Key, full: string, out: Decoded): unknown {
  switch (key.type) {
    case "strings":
      return decodeList(raw, full, out, (item, path) => decodeScalar(item, "string", path, out));
    case "objects":
      return decodeList(raw, full, out, (item, path) => decodeNested(item, key, path, out));
    case "anys":
      return decodeList(raw, full, out, (item, path) => decodeAny(item, path, out));
    case "object":
      return decodeNested(raw, key, full, out);
    case "any":
      return decodeAny(raw, full, out);
    case "map":
    case "durations":
      return decodeMap(raw, full, out, (item, path) => decodeScalar(item, "string", path, out));
    case "ints":
      return decodeMap(raw, full, out, (item, path) => decodeScalar(item, "int", path, out));
    case "lists":
      return decodeMap(raw, full, out, (item, path) => {
        if (typeof item === "string") return [item];
        return decodeList(item, path, out, (text, at) => decodeScalar(text, "string", at, out));
      });
    default:
      return decodeScalar(raw, key.type, full, out);
  }
}

function decodeNested(raw: unknown, key: Key, full: string, out: Decoded): Settings | undefined {
  const nested: Decoded = { settings: new Map(), unknown: out.unknown, errors: out.errors };
  const errorCount = out.errors.length;
  decodeObject(raw, tree(key.fields), { here: "", full }, nested);
  return out.errors.length === errorCount ? nested.settings : undefined;
}

function decodeList(
  raw: unknown,
  full: string,
  out: Decoded,
  decodeItem: (item: unknown, path: string) => unknown,
): unknown[] | undefined {
  if (!Array.isArray(raw)) {
    const kind = goKind(raw);
    out.errors.push(`'${full}': source data must be an array or slice, got ${kind}`);
    return undefined;
  }
  return raw.map((item, i) => decodeItem(item, `${full}[${i}]`))
    .filter((item) => item !== undefined);
}

/** Several blocks of one name, as HCL gives them, count as one map. */
function decodeMap(
  raw: unknown,
  full: string,
  out: Decoded,
  decodeItem: (item: unknown, path: string) => unknown,
): Record<string, unknown> | undefined {
  const blocks = Array.isArray(raw) ? raw : [raw];
  const result: Record<string, unknown> = {};
  for (const block of blocks) {
    if (!isRecord(block)) {
      out.errors.push(`'${full}' expected a map, got '${goKind(block)}'`);
      return undefined;
    }
    for (const [name, item] of Object.entries(block)) {
      const value = decodeItem(item, `${full}[${name}]`);
      if (value !== undefined) result[name] = value;
    }
  }
  return result;
}

function decodeAny(raw: unknown, full: string, out: Decoded): unknown {
  const value = unwrap(raw);
  if (isRecord(value)) return unwrapDeep(value);
  out.errors.push(`'${full}' expected a map, got '${goKind(value)}'`);
  return undefined;
}

function decodeScalar(raw: unknown, type: KeyType, full: string, out: Decoded): unknown {
  const value = unwrap(raw);
  const refuse = (goType: string) => {
    const kind = goKind(value);
    const shown = typeof value === "object" ? JSON.stringify(value) : String(value);
    out.errors.push(
      `'${full}' expected type '${goType}', got unconvertible type '${kind}', value: '${shown}'`,
    );
    return undefined;
  };
  switch (type) {
    case "bool":
      return typeof value === "boolean" ? value : refuse("bool");
    case "int":
    case "uint":
      if (typeof value !== "number") return refuse(type);
      if (type === "uint" && value < 0) {
        out.errors.push(`cannot parse '${full}', ${value.toFixed(6)} overflows uint`);
        return undefined;
      }
      return Math.trunc(value);
    case "float":
      return typeof value === "number" ? value : refuse("float64");
    default:
      return typeof value === "string" ? value : refuse("string");
  }
}

/** HCL writes one block as a list of one. */
function unwrap(value: unknown): unknown {
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}

/** Within unchecked objects only blocks are unwrapped: a list of one text stays a list. */
function unwrapDeep(value: unknown): unknown {
  if (Array.isArray(value)) {
    if (value.length === 1 && isRecord(value[0])) return unwrapDeep(value[0]);
    return value.map(unwrapDeep);
  }
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, unwrapDeep(item)]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function goKind(value: unknown): string {
  if (Array.isArray(value)) return "slice";
  switch (typeof value) {
    case "string":
      return "string";
    case "number":
      return "float64";
    case "boolean":
      return "bool";
    default:
      return value === null ? "invalid" : "map";
  }
}

function below(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function tree(keys: readonly Key[]): TreeNode {
  const known = trees.get(keys);
  if (known !== undefined) return known;
  const root: TreeNode = { key: null, children: new Map() };
  for (const key of keys) {
    let node = root;
    for (const part of pathParts(key.path)) {
      let child = node.children.get(part);
      if (child === undefined) {
        child = { key: null, children: new Map() };
        node.children.set(part, child);
      }
      node = child;
    }
    node.key = key;
  }
  trees.set(keys, root);
  return root;
}

/** One key of Consul's has a dot of its own. */
function pathParts(path: string): string[] {
  return path.endsWith("disable_compat_1.9")
    ? ["telemetry", "disable_compat_1.9"]
    : path.split(".");
}
