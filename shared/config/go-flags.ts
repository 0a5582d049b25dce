// Command lines as Go's flag package reads them: `-x v`, `-x=v`, `--x`, booleans without a value,
// the first word that is no flag ends the flags.

import { DurationError, parseDuration } from "../consul/duration.ts";

export type FlagType = "bool" | "string" | "int" | "uint" | "duration" | "strings" | "map";

export interface FlagSpec {
  name: string;
  type: FlagType;
  help: string;
  /** Shown as the default, where there is one. */
  initial?: unknown;
}

export interface ParsedFlags {
  /** Only flags that were given. Repeatable ones collect their values. */
  values: Map<string, unknown>;
  rest: string[];
}

/** The command line is wrong; the message is Go's. */
export class FlagError extends Error {
  override name = "FlagError";
}

/** -h or -help was given. */
export class HelpWanted extends Error {
  override name = "HelpWanted";
}

const truths = new Set(["1", "t", "T", "true", "TRUE", "True"]);
const untruths = new Set(["0", "f", "F", "false", "FALSE", "False"]);

/** Go's strconv.ParseBool; undefined when it is neither. */
export function parseGoBool(text: string): boolean | undefined {
  if (truths.has(text)) return true;
  if (untruths.has(text)) return false;
  return undefined;
}

export function parseFlags(specs: readonly FlagSpec[], args: readonly string[]): ParsedFlags {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  const values = new Map<string, unknown>();
  let at = 0;
  while (at < args.length) {
    const arg = args[at]!;
    if (arg.length < 2 || !arg.startsWith("-")) break;
    at++;
    if (arg === "--") break;
    const body = arg.startsWith("--") ? arg.slice(2) : arg.slice(1);
    if (body === "" || body.startsWith("-") || body.startsWith("=")) {
      throw new FlagError(`bad flag syntax: ${arg}`);
    }
    const equals = body.indexOf("=");
    const name = equals < 0 ? body : body.slice(0, equals);
    const spec = byName.get(name);
    if (spec === undefined) {
      if (name === "help" || name === "h") throw new HelpWanted();
      throw new FlagError(`flag provided but not defined: -${name}`);
    }
    let text: string;
    if (equals >= 0) text = body.slice(equals + 1);
    else if (spec.type === "bool") text = "true";
    else if (at < args.length) text = args[at++]!;
    else throw new FlagError(`flag needs an argument: -${name}`);
    store(values, spec, text);
  }
  return { values, rest: args.slice(at) };
}

function store(values: Map<string, unknown>, spec: FlagSpec, text: string): void {
  const { name } = spec;
  const refuse = (why: string) =>
    new FlagError(`invalid value ${JSON.stringify(text)} for flag -${name}: ${why}`);
  switch (spec.type) {
    case "bool": {
      const value = parseGoBool(text);
      if (value === undefined) {
        const quoted = JSON.stringify(text);
        throw new FlagError(`invalid boolean value ${quoted} for -${name}: parse error`);
      }
      values.set(name, value);
      return;
    }
    case "int":
    case "uint": {
      const isNumber = spec.type === "int" ? /^[+-]?\d+$/.test(text) : /^\d+$/.test(text);
      if (!isNumber) throw refuse("parse error");
      if (!Number.isSafeInteger(Number(text)) && spec.type === "int") {
        throw refuse("value out of range");
      }
      values.set(name, Number(text));
      return;
    }
    case "duration":
      try {
        parseDuration(text);
      } catch (error) {
        if (error instanceof DurationError) throw refuse("parse error");
        throw error;
      }
      values.set(name, text);
      return;
    case "strings":
      values.set(name, [...(values.get(name) as string[] | undefined ?? []), text]);
      return;
    case "map": {
      const match = /^([^:=]*)[:=]([\s\S]*)$/.exec(text);
      const before = values.get(name) as Record<string, string> | undefined;
      values.set(name, { ...before, [match?.[1] ?? text]: match?.[2] ?? "" });
      return;
    }
    default:
      values.set(name, text);
  }
}
