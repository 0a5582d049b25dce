// Matches answers against what a recording expects; the notation is that of the recordings'
// README: `${x}` in texts, and objects with `$…` keys as matchers.

import { type Exact, exactJson } from "./exact-json.ts";

/** What was captured so far, by name. */
export type Env = Map<string, Exact>;

export class Unset extends Error {
  override name = "Unset";
}

type Fields = { [key: string]: Exact };

export function lookup(name: string, env: Env): Exact {
  const value = env.get(name);
  if (value === undefined) throw new Unset(`variable ${name} was never captured`);
  return value;
}

export function fill(text: string, env: Env): string {
  return text.replace(/\$\{(\w+)\}/g, (_, name: string) => String(lookup(name, env)));
}

export function expectJson(matcher: Matcher, wanted: Exact, text: string): void {
  let got: Exact;
  try {
    got = exactJson(text);
  } catch {
    matcher.differences.push(`body: want JSON, got ${show(text)}`);
    return;
  }
  matcher.match(wanted, got, "json");
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

export class Matcher {
  readonly env: Env;
  readonly differences: string[] = [];

  constructor(env: Env) {
    this.env = env;
  }

  header(name: string, wanted: Exact, got: string | undefined): void {
    const at = `header ${name}`;
    const isAbsent = isFields(wanted) && "$absent" in wanted;
    if (isAbsent) {
      if (got !== undefined) this.differences.push(`${at}: want none, got ${got}`);
      return;
    }
    if (got === undefined) {
      this.differences.push(`${at}: missing`);
      return;
    }
    const value = isFields(wanted) && /^\d+$/.test(got) ? BigInt(got) : got;
    this.match(wanted, value, at);
  }

  match(wanted: Exact, got: Exact, at: string): void {
    if (isFields(wanted)) {
      const isMatcher = Object.keys(wanted).some((key) => /^\$(?!\{)/.test(key));
      if (isMatcher) this.#special(wanted, got, at);
      else this.#object(wanted, got, at);
      return;
    }
    if (Array.isArray(wanted)) return this.#list(wanted, got, at);
    const filled = typeof wanted === "string" ? fill(wanted, this.env) : wanted;
    if (!isSame(filled, got) && !this.#isOwnAddress(filled, got)) this.#no(at, show(filled), got);
  }

  /** The recorded agent's address may stand for that of the one replayed against. */
  #isOwnAddress(wanted: Exact, got: Exact): boolean {
    return wanted === "127.0.0.1" && got === this.env.get("address");
  }

  #no(at: string, wanted: string, got: Exact): void {
    this.differences.push(`${at}: want ${wanted}, got ${show(got)}`);
  }

  #object(wanted: Fields, got: Exact, at: string): void {
    if (!isFields(got)) return this.#no(at, "an object", got);
    const filled = new Map(
      Object.entries(wanted).map(([key, value]) => [fill(key, this.env), value]),
    );
    for (const [key, value] of filled) {
      if (Object.hasOwn(got, key)) this.match(value, got[key]!, `${at}.${key}`);
      else this.differences.push(`${at}.${key}: missing`);
    }
    for (const key of Object.keys(got)) {
      if (!filled.has(key)) this.differences.push(`${at}.${key}: unexpected ${show(got[key]!)}`);
    }
  }

  #list(wanted: Exact[], got: Exact, at: string): void {
    if (!Array.isArray(got) || got.length !== wanted.length) {
      return this.#no(at, `a list of ${wanted.length}`, got);
    }
    wanted.forEach((item, i) => this.match(item, got[i]!, `${at}[${i}]`));
  }

  #special(wanted: Fields, got: Exact, at: string): void {
    const before = this.differences.length;
    for (const [key, argument] of Object.entries(wanted)) this.#check(key, argument, got, at);
    if (typeof wanted.$capture === "string" && this.differences.length === before) {
      this.env.set(wanted.$capture, got);
    }
  }

  #check(key: string, argument: Exact, got: Exact, at: string): void {
    switch (key) {
      case "$any":
      case "$capture":
        return;
      case "$uuid":
        return this.#text(got, at, "a UUID", (text) => uuid.test(text));
      case "$time":
        return this.#text(got, at, "a time", (text) => time.test(text));
      case "$string":
        return this.#text(got, at, "a string", () => true);
      case "$int":
        if (typeof got !== "bigint") this.#no(at, "an integer", got);
        return;
      case "$contains": {
        const part = fill(argument as string, this.env);
        return this.#text(got, at, `text containing ${part}`, (text) => text.includes(part));
      }
      case "$regex": {
        const pattern = fill(argument as string, this.env);
        const whole = new RegExp(`^(?:${pattern})$`, "s");
        return this.#text(got, at, `text like ${pattern}`, (text) => whole.test(text));
      }
      case "$index>":
      case "$index>=":
        return this.#above(key, argument, got, at);
      case "$ref": {
        const have = lookup(argument as string, this.env);
        const isSameKind = (typeof have === "boolean") === (typeof got === "boolean");
        if (String(have) !== String(got) || !isSameKind) {
          this.#no(at, `${show(have)} (=${argument})`, got);
        }
        return;
      }
      case "$absent":
        return this.#no(at, "nothing", got);
      case "$partial":
        return this.#partial(argument as Fields, got, at);
      case "$has":
      case "$unordered":
        return this.#anyOrder(key, argument as Exact[], got, at);
      default:
        this.differences.push(`${at}: unknown matcher ${key} in the recording`);
    }
  }

  #text(got: Exact, at: string, wanted: string, isRight: (text: string) => boolean): void {
    if (typeof got !== "string" || !isRight(got)) this.#no(at, wanted, got);
  }

  #above(key: string, argument: Exact, got: Exact, at: string): void {
    const low = typeof argument === "bigint" ? argument : lookup(argument as string, this.env);
    const isAbove = typeof got === "bigint" &&
      (key === "$index>" ? got > (low as bigint) : got >= (low as bigint));
    if (!isAbove) this.#no(at, `a number ${key.slice(6)} ${low}`, got);
  }

  #partial(wanted: Fields, got: Exact, at: string): void {
    if (!isFields(got)) return this.#no(at, "an object", got);
    for (const [name, item] of Object.entries(wanted)) {
      const key = fill(name, this.env);
      const isAbsent = isFields(item) && "$absent" in item;
      if (isAbsent && Object.hasOwn(got, key)) {
        this.differences.push(`${at}.${key}: should be absent`);
      } else if (!isAbsent && !Object.hasOwn(got, key)) {
        this.differences.push(`${at}.${key}: missing`);
      } else if (!isAbsent) this.match(item, got[key]!, `${at}.${key}`);
    }
  }

  #anyOrder(key: string, wanted: Exact[], got: Exact, at: string): void {
    if (!Array.isArray(got) || (key === "$unordered" && got.length !== wanted.length)) {
      return this.#no(at, `a list with ${wanted.length} items`, got);
    }
    const rest = [...got];
    for (const item of wanted) {
      const found = rest.findIndex((candidate) => {
        const trial = new Matcher(new Map(this.env));
        trial.match(item, candidate, "");
        if (trial.differences.length > 0) return false;
        for (const [name, value] of trial.env) this.env.set(name, value);
        return true;
      });
      if (found < 0) this.#no(at, `an item ${show(item)}`, got);
      else rest.splice(found, 1);
    }
  }
}

function isFields(value: Exact): value is Fields {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function isSame(a: Exact, b: Exact): boolean {
  const isNumeric = (value: Exact) => typeof value === "bigint" || typeof value === "number";
  return a === b ||
    (isNumeric(a) && isNumeric(b) && Number(a) === Number(b) && typeof a !== typeof b);
}

function show(value: Exact): string {
  const text = typeof value === "string"
    ? value
    : JSON.stringify(value, (_key, item) => typeof item === "bigint" ? Number(item) : item);
  const line = text.replaceAll("\n", "\\n");
  return line.length < 240 ? line : `${line.slice(0, 240)}…`;
}
