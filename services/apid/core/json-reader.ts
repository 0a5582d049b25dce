// Reads the first JSON value of a body as Go's json.Decoder does, with its error texts, and keeps
// numbers as they were written.

export class JsonSyntaxError extends Error {
  override name = "JsonSyntaxError";
}

/** A number that was not rounded. */
export class JsonNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Pairs in the order of the text; a repeated key appears twice. */
export class JsonObject {
  readonly pairs: [string, JsonValue][] = [];
}

export type JsonValue = string | boolean | null | JsonNumber | JsonValue[] | JsonObject;

/** Go gives up at this nesting, too. */
const depthMax = 10_000;

const space = /[ \t\r\n]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// deno-lint-ignore no-control-regex
const plain = /[^"\\\u0000-\u001f]*/y;
const escapes: Record<string, string> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** Throws JsonSyntaxError with the text Go would give; what follows the first value is ignored. */
export function readJson(text: string): JsonValue {
  return new Reader(text).document();
}

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonValue {
    this.#skipSpace();
    if (this.#at >= this.#text.length) throw new JsonSyntaxError("EOF");
    return this.#value("looking for beginning of value");
  }

  #value(context: string): JsonValue {
    const char = this.#text[this.#at];
    switch (char) {
      case "{":
        return this.#object();
      case "[":
        return this.#list();
      case '"':
        return this.#string();
      case "t":
        return this.#literal("true", true);
      case "f":
        return this.#literal("false", false);
      case "n":
        return this.#literal("null", null);
      default:
        if (char === "-" || (char !== undefined && char >= "0" && char <= "9")) {
          return this.#number();
        }
        throw this.#unexpected(context);
    }
  }

  #object(): JsonObject {
    this.#enter();
    const object = new JsonObject();
    this.#skipSpace();
    if (this.#text[this.#at] === "}") return this.#leave(object);
    for (;;) {
      if (this.#text[this.#at] !== '"') {
        throw this.#unexpected("looking for beginning of object key string");
      }
      const key = this.#string();
      this.#skipSpace();
      if (this.#text[this.#at] !== ":") throw this.#unexpected("after object key");
      this.#at++;
      this.#skipSpace();
      object.pairs.push([key, this.#value("looking for beginning of value")]);
      this.#skipSpace();
      if (this.#text[this.#at] === "}") return this.#leave(object);
      if (this.#text[this.#at] !== ",") throw this.#unexpected("after object key:value pair");
      this.#at++;
      this.#skipSpace();
    }
  }

  #list(): JsonValue[] {
    this.#enter();
    const items: JsonValue[] = [];
    this.#skipSpace();
    if (this.#text[this.#at] === "]") return this.#leave(items);
    for (;;) {
      items.push(this.#value("looking for beginning of value"));
      this.#skipSpace();
      if (this.#text[this.#at] === "]") return this.#leave(items);
      if (this.#text[this.#at] !== ",") throw this.#unexpected("after array element");
      this.#at++;
      this.#skipSpace();
    }
  }

  #string(): string {
    let out = "";
    this.#at++;
    for (;;) {
      plain.lastIndex = this.#at;
      const chunk = plain.exec(this.#text)![0];
      out += chunk;
      this.#at += chunk.length;
      const char = this.#text[this.#at];
      if (char === '"') {
        this.#at++;
        return out.isWellFormed() ? out : out.toWellFormed();
      }
      if (char !== "\\") throw this.#unexpected("in string literal");
      this.#at++;
      const code = this.#text[this.#at];
      if (code === "u") {
        this.#at++;
        out += this.#unicode();
        continue;
      }
      const plainEscape = code === undefined ? undefined : escapes[code];
      if (plainEscape === undefined) throw this.#unexpected("in string escape code");
      out += plainEscape;
      this.#at++;
    }
  }

  #unicode(): string {
    let value = 0;
    for (let i = 0; i < 4; i++) {
      const digit = this.#text[this.#at];
      if (digit === undefined || !/[0-9a-fA-F]/.test(digit)) {
        throw this.#unexpected("in \\u hexadecimal character escape");
      }
      value = value * 16 + parseInt(digit, 16);
      this.#at++;
    }
    return String.fromCharCode(value);
  }

  #number(): JsonNumber {
    number.lastIndex = this.#at;
    const found = number.exec(this.#text);
    if (found === null) {
      this.#at++;
      throw this.#unexpected("in numeric literal");
    }
    this.#at += found[0].length;
    const next = this.#text[this.#at];
    const isWhole = !/[.eE]/.test(found[0]);
    if (next === "." && isWhole) {
      this.#at++;
      throw this.#unexpected("after decimal point in numeric literal");
    }
    if ((next === "e" || next === "E") && !/[eE]/.test(found[0])) {
      this.#at++;
      if (/[+-]/.test(this.#text[this.#at] ?? "")) this.#at++;
      throw this.#unexpected("in exponent of numeric literal");
    }
    return new JsonNumber(found[0]);
  }

  #literal<T extends boolean | null>(word: string, value: T): T {
    for (let i = 1; i < word.length; i++) {
      this.#at++;
      if (this.#text[this.#at] !== word[i]) {
        throw this.#unexpected(`in literal ${word} (expecting '${word[i]}')`);
      }
    }
    this.#at++;
    return value;
  }

  #enter(): void {
    this.#at++;
    if (++this.#depth > depthMax) throw new JsonSyntaxError("exceeded max depth");
  }

  #leave<T>(value: T): T {
    this.#at++;
    this.#depth--;
    return value;
  }

  #skipSpace(): void {
    space.lastIndex = this.#at;
    this.#at += space.exec(this.#text)![0].length;
  }

  #unexpected(context: string): JsonSyntaxError {
    if (this.#at >= this.#text.length) return new JsonSyntaxError("unexpected EOF");
    const char = String.fromCodePoint(this.#text.codePointAt(this.#at)!);
    return new JsonSyntaxError(`invalid character ${quoteChar(char)} ${context}`);
  }
}

function quoteChar(char: string): string {
  if (char === "'") return `'\\''`;
  if (char === '"') return `'"'`;
  const code = char.codePointAt(0)!;
  if (char === "\n") return `'\\n'`;
  if (char === "\r") return `'\\r'`;
  if (char === "\t") return `'\\t'`;
  if (char === "\\") return `'\\\\'`;
  if (code < 0x20 || code === 0x7f) return `'\\x${code.toString(16).padStart(2, "0")}'`;
  return `'${char}'`;
}
