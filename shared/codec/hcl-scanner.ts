// Cuts HCL 1 text into tokens (the grammar of configuration files and ACL rules).

export type HclTokenKind =
  | "IDENT"
  | "NUMBER"
  | "FLOAT"
  | "BOOL"
  | "STRING"
  | "HEREDOC"
  | "LBRACE"
  | "RBRACE"
  | "LBRACK"
  | "RBRACK"
  | "ASSIGN"
  | "COMMA"
  | "ADD"
  | "SUB"
  | "EOF";

export interface HclToken {
  kind: HclTokenKind;
  /** The source text; for strings and here-documents already unquoted. */
  text: string;
  line: number;
  column: number;
}

export class HclError extends Error {
  override name = "HclError";

  constructor(message: string, line?: number, column?: number) {
    super(line === undefined ? message : `At ${line}:${column}: ${message}`);
  }
}

const punctuation: Record<string, HclTokenKind> = {
  "{": "LBRACE",
  "}": "RBRACE",
  "[": "LBRACK",
  "]": "RBRACK",
  "=": "ASSIGN",
  ",": "COMMA",
  "+": "ADD",
};
const identStart = /[\p{L}_]/u;
const identPattern = /[\p{L}_][\p{L}_\p{Nd}.-]*/uy;
const numberPattern = /-?(?:0[xX][0-9a-fA-F]*|\d*(?:\.\d*)?(?:[eE][+-]?\d*)?)/y;
const escapePattern =
  /\\(?:([abfnrtv\\"])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;
const plainEscapes: Record<string, string> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** Every token of the text, the last one EOF. Throws HclError. */
export function scanHcl(source: string): HclToken[] {
  const scanner = new Scanner(source);
  const tokens: HclToken[] = [];
  for (;;) {
    const token = scanner.next();
    tokens.push(token);
    if (token.kind === "EOF") return tokens;
  }
}

class Scanner {
  readonly #source: string;
  #at = 0;
  #line = 1;
  #lineStart = 0;

  constructor(source: string) {
    this.#source = source;
  }

  next(): HclToken {
    this.#skipSpaceAndComments();
    const source = this.#source;
    const char = source[this.#at];
    const place = { line: this.#line, column: this.#at - this.#lineStart + 1 };
    if (char === undefined) return { kind: "EOF", text: "", ...place };
    const kind = punctuation[char];
    if (kind !== undefined) {
      this.#at++;
      return { kind, text: char, ...place };
    }
    if (identStart.test(String.fromCodePoint(source.codePointAt(this.#at)!))) {
      const text = this.#match(identPattern);
      return { kind: text === "true" || text === "false" ? "BOOL" : "IDENT", text, ...place };
    }
    if (char === '"') return { kind: "STRING", text: this.#string(), ...place };
    if (char === "<") return { kind: "HEREDOC", text: this.#heredoc(), ...place };
    if (/[0-9.-]/.test(char)) return { ...this.#number(), ...place };
    throw this.#error("illegal char");
  }

  #skipSpaceAndComments(): void {
    const source = this.#source;
    for (;;) {
      const char = source[this.#at];
      if (char === "\n") {
        this.#at++;
        this.#newLine();
      } else if (char === " " || char === "\t" || char === "\r") {
        this.#at++;
      } else if (char === "#" || (char === "/" && source[this.#at + 1] === "/")) {
        const end = source.indexOf("\n", this.#at);
        this.#at = end < 0 ? source.length : end;
      } else if (char === "/" && source[this.#at + 1] === "*") {
        const end = source.indexOf("*/", this.#at + 2);
        if (end < 0) throw this.#error("comment not terminated", source.length);
        this.#advanceOver(end + 2);
      } else if (char === "/") {
        throw this.#error("expected '/' for comment");
      } else return;
    }
  }

  #string(): string {
    const source = this.#source;
    let out = "";
    let braces = 0;
    let i = this.#at + 1;
    for (;; i++) {
      const char = source[i];
      if (char === undefined || (char === "\n" && braces === 0)) {
        throw this.#error("literal not terminated", i);
      }
      if (char === '"' && braces === 0) break;
      if (char === "$" && source[i + 1] === "{" && braces === 0) {
        out += "${";
        braces = 1;
        i++;
        continue;
      }
      if (braces > 0 && char === "{") braces++;
      if (braces > 0 && char === "}") braces--;
      if (char !== "\\" || braces > 0) {
        out += char;
        continue;
      }
      escapePattern.lastIndex = i;
      const match = escapePattern.exec(source);
      if (match === null) throw this.#error("illegal char escape", i + 1);
      out += unescape(match);
      i += match[0].length - 1;
    }
    this.#advanceOver(i + 1);
    return out;
  }

  /** `<<MARK` keeps the lines as they are; `<<-MARK` removes the closing line's indentation from
   *  every line, if every line has it. */
  #heredoc(): string {
    const source = this.#source;
    if (source[this.#at + 1] !== "<") {
      throw this.#error("heredoc expected second '<', didn't see it");
    }
    const lineEnd = source.indexOf("\n", this.#at);
    const opening = source.slice(this.#at + 2, lineEnd < 0 ? source.length : lineEnd);
    const isIndented = opening.startsWith("-");
    const mark = opening.replace(/^-/, "").trimEnd();
    if (mark === "") throw this.#error("zero-length heredoc anchor", this.#at + 4);
    if (!/^[\p{L}\p{Nd}_]+$/u.test(mark)) throw this.#error("invalid characters in heredoc anchor");
    const lines: string[] = [];
    let start = lineEnd + 1;
    for (;;) {
      const end = source.indexOf("\n", start);
      if (lineEnd < 0 || end < 0) throw this.#error("heredoc not terminated", source.length);
      const line = source.slice(start, end).replace(/\r$/, "");
      if (line.trimStart() === mark) {
        this.#advanceOver(end);
        return heredocText(lines, line.slice(0, line.length - mark.length), isIndented);
      }
      lines.push(line);
      start = end + 1;
    }
  }

  #number(): { kind: HclTokenKind; text: string } {
    const start = this.#at;
    const text = this.#match(numberPattern);
    if (text === "-") return { kind: "SUB", text };
    if (/^-?0[xX]$/.test(text)) throw this.#error("illegal hexadecimal number");
    if (text === "" || text === ".") throw this.#error("illegal char", start);
    const isFloat = !/^-?0[xX]/.test(text) && /[.eE]/.test(text);
    return { kind: isFloat ? "FLOAT" : "NUMBER", text };
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const text = pattern.exec(this.#source)![0];
    this.#at += text.length;
    return text;
  }

  #advanceOver(end: number): void {
    for (; this.#at < end; this.#at++) {
      if (this.#source[this.#at] !== "\n") continue;
      this.#line++;
      this.#lineStart = this.#at + 1;
    }
  }

  #newLine(): void {
    this.#line++;
    this.#lineStart = this.#at;
  }

  #error(message: string, at = this.#at): HclError {
    this.#advanceOver(at);
    return new HclError(message, this.#line, this.#at - this.#lineStart + 1);
  }
}

function unescape(match: RegExpExecArray): string {
  const [, plain, octal, hex, short, long] = match;
  if (plain !== undefined) return plainEscapes[plain] ?? plain;
  if (octal !== undefined) return String.fromCharCode(parseInt(octal, 8));
  const code = parseInt(hex ?? short ?? long!, 16);
  if (code > 0x10ffff) throw new HclError("escape sequence is invalid Unicode code point");
  return String.fromCodePoint(code);
}

function heredocText(lines: string[], closingIndent: string, isIndented: boolean): string {
  if (!isIndented) return lines.map((line) => `${line}\n`).join("") + closingIndent;
  const isRemovable = lines.every((line) => line.startsWith(closingIndent));
  return lines.map((line) => `${isRemovable ? line.slice(closingIndent.length) : line}\n`).join("");
}
