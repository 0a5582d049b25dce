// HCL 1 to plain values, as Consul reads configuration files and ACL rules: an object is a list
// of objects (`a {}` twice gives two), a repeated list grows, a repeated scalar is replaced.

import { HclError, scanHcl } from "./hcl-scanner.ts";
import type { HclToken, HclTokenKind } from "./hcl-scanner.ts";

export { HclError } from "./hcl-scanner.ts";

export type HclValue = string | number | boolean | HclValue[] | HclObject;
export interface HclObject {
  [key: string]: HclValue;
}

/** How deep objects and lists may nest: far beyond any configuration, far below the stack. */
const depthMax = 200;

/** The value of a whole text. Throws HclError with Consul's wording. */
export function parseHcl(source: string): HclObject {
  if (source.trimStart().startsWith("{")) return fromJson(source);
  return new Parser(scanHcl(source)).object("EOF", 0);
}

/** A JSON object is also HCL: its members are read as blocks. */
function fromJson(source: string): HclObject {
  let value: HclObject;
  try {
    value = JSON.parse(source) as HclObject;
  } catch (error) {
    throw new HclError((error as Error).message);
  }
  return asBlocks(value, 0) as HclObject;
}

function asBlocks(value: HclValue, depth: number): HclValue {
  if (depth > depthMax) throw new HclError(`nested deeper than ${depthMax} levels`);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((entry) => asBlocks(entry, depth + 1));
  const object: HclObject = Object.create(null);
  for (const [key, member] of Object.entries(value)) {
    const block = asBlocks(member, depth + 1);
    object[key] = isObject(block) ? [block] : block;
  }
  return object;
}

class Parser {
  readonly #tokens: HclToken[];
  #at = 0;

  constructor(tokens: HclToken[]) {
    this.#tokens = tokens;
  }

  peek(): HclToken {
    return this.#tokens[this.#at]!;
  }

  take(): HclToken {
    const token = this.peek();
    if (token.kind !== "EOF") this.#at++;
    return token;
  }

  /** Items up to and over the closing token. */
  object(end: HclTokenKind, depth: number): HclObject {
    if (depth > depthMax) throw new HclError(`nested deeper than ${depthMax} levels`);
    const object: HclObject = Object.create(null);
    for (;;) {
      const token = this.take();
      if (token.kind === end) return object;
      if (token.kind === "EOF") throw fail(token, "object expected closing RBRACE got: EOF");
      if (token.kind !== "IDENT" && token.kind !== "STRING" && token.kind !== "BOOL") {
        throw fail(token, `expected: IDENT | STRING | ASSIGN | LBRACE got: ${token.kind}`);
      }
      this.#item(object, token, depth);
      if (this.peek().kind === "COMMA") this.take();
    }
  }

  #item(object: HclObject, first: HclToken, depth: number): void {
    const keys = [first];
    for (;;) {
      const token = this.take();
      switch (token.kind) {
        case "ASSIGN": {
          if (keys.length > 1) throw fail(token, "nested object expected: LBRACE got: ASSIGN");
          // `a =` at the very end sets nothing.
          if (this.peek().kind === "EOF" && depth === 0) return;
          const value = this.#value(this.take(), depth);
          put(object, first, isObject(value) ? [value] : value);
          return;
        }
        case "LBRACE": {
          let value = this.object("RBRACE", depth + 1);
          for (const key of keys.slice(1).reverse()) value = wrap(key.text, value);
          put(object, first, [value]);
          return;
        }
        case "IDENT":
        case "STRING":
          keys.push(token);
          break;
        default: {
          const names = keys.map((key) => key.kind === "STRING" ? `"${key.text}"` : key.text);
          const name = names.join(" ");
          const message = `key '${name}' expected start of object ('{') or assignment ('=')`;
          throw fail(token, message);
        }
      }
    }
  }

  #value(token: HclToken, depth: number): HclValue {
    if (depth > depthMax) throw new HclError(`nested deeper than ${depthMax} levels`);
    switch (token.kind) {
      case "STRING":
      case "HEREDOC":
        return token.text;
      case "BOOL":
        return token.text === "true";
      case "NUMBER":
        return parseInteger(token.text);
      case "FLOAT":
        return parseFraction(token.text);
      case "LBRACE":
        return this.object("RBRACE", depth + 1);
      case "LBRACK":
        return this.#list(depth + 1);
      case "EOF":
        throw fail(token, "object expected closing RBRACE got: EOF");
      default: {
        const place = `${token.line}:${token.column}`;
        throw fail(token, `Unknown token: ${place} ${token.kind} ${token.text}`);
      }
    }
  }

  #list(depth: number): HclValue[] {
    const values: HclValue[] = [];
    let needsComma = false;
    for (;;) {
      const token = this.take();
      if (token.kind === "RBRACK") return values;
      if (token.kind === "COMMA") {
        needsComma = false;
        continue;
      }
      if (needsComma) {
        throw fail(token, `error parsing list, expected comma or list end, got: ${token.kind}`);
      }
      if (["EOF", "IDENT", "RBRACE", "ASSIGN", "ADD", "SUB"].includes(token.kind)) {
        throw fail(token, `unexpected token while parsing list: ${token.kind}`);
      }
      values.push(this.#value(token, depth));
      needsComma = true;
    }
  }
}

function put(object: HclObject, key: HclToken, value: HclValue): void {
  const before = object[key.text];
  if (before === undefined || (!Array.isArray(before) && !Array.isArray(value))) {
    object[key.text] = value;
  } else if (Array.isArray(before) && Array.isArray(value)) {
    before.push(...value);
  } else {
    throw fail(key, `'${key.text}' is given both as a list or block and as a single value`);
  }
}

function wrap(key: string, value: HclObject): HclObject {
  const object: HclObject = Object.create(null);
  object[key] = [value];
  return object;
}

function isObject(value: HclValue): value is HclObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseInteger(text: string): number {
  const [sign, digits] = text.startsWith("-") ? [-1, text.slice(1)] : [1, text];
  if (/^0[xX]/.test(digits)) return sign * parseInt(digits, 16);
  if (!/^0./.test(digits)) return sign * Number(digits);
  if (/[89]/.test(digits)) {
    throw new HclError(`strconv.ParseInt: parsing "${text}": invalid syntax`);
  }
  return sign * parseInt(digits, 8);
}

function parseFraction(text: string): number {
  if (/[eE][+-]?$/.test(text)) {
    throw new HclError(`strconv.ParseFloat: parsing "${text}": invalid syntax`);
  }
  const value = Number(text);
  if (!Number.isFinite(value)) {
    throw new HclError(`strconv.ParseFloat: parsing "${text}": value out of range`);
  }
  return value;
}

function fail(token: HclToken, message: string): HclError {
  return new HclError(message, token.line, token.column);
}
