// The grammar of `?filter` (go-bexpr's), as a recursive descent that remembers the farthest place
// where nothing matched, so that its errors read as Consul's do.

import { type Expression, FilterError, type Operator, unquote } from "./expression.ts";

export function parseFilter(text: string): Expression {
  const parser = new Parser(text);
  return parser.input();
}

/** Nesting of parentheses and `not` beyond this is refused rather than recursed into. */
const depthMax = 200;

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #farthest = 0;
  #expected = new Set<string>();
  #problem: string | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  input(): Expression {
    this.#blank(false);
    const expression = this.#or();
    if (expression !== undefined) {
      this.#blank(false);
      if (this.#at >= this.#text.length) return expression;
      this.#miss("EOF");
    }
    throw new FilterError(this.#problem ?? this.#noMatch());
  }

  #noMatch(): string {
    const expected = [...this.#expected].filter((item) => item !== "EOF").sort();
    if (this.#expected.has("EOF")) expected.push("EOF");
    const last = expected.pop();
    const list = expected.length === 0 ? last : `${expected.join(", ")} or ${last}`;
    return `${this.#place(this.#farthest)}: no match found, expected: ${list}`;
  }

  #place(at: number): string {
    const before = this.#text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - (before.lastIndexOf("\n") + 1) + 1;
    return `${line}:${column} (${Buffer.byteLength(before)})`;
  }

  #or(): Expression | undefined {
    return this.#binary("or", () => this.#and(), () => this.#or());
  }

  #and(): Expression | undefined {
    return this.#binary("and", () => this.#not(), () => this.#and());
  }

  #binary(
    kind: "and" | "or",
    first: () => Expression | undefined,
    rest: () => Expression | undefined,
  ): Expression | undefined {
    const left = first();
    if (left === undefined) return undefined;
    const after = this.#at;
    if (this.#blank(true) && this.#word(kind) && this.#blank(true)) {
      const right = rest();
      if (right !== undefined) return { kind, left, right };
    }
    this.#at = after;
    return left;
  }

  #not(): Expression | undefined {
    if (++this.#depth > depthMax) throw new FilterError("expression is nested too deeply");
    try {
      const start = this.#at;
      if (this.#word("not") && this.#blank(true)) {
        const operand = this.#not();
        if (operand !== undefined) {
          return operand.kind === "not" ? operand.operand : { kind: "not", operand };
        }
      }
      this.#at = start;
      return this.#group() ?? this.#match();
    } finally {
      this.#depth--;
    }
  }

  #group(): Expression | undefined {
    const start = this.#at;
    if (this.#word("(")) {
      this.#blank(false);
      const inner = this.#or();
      if (inner !== undefined) {
        this.#blank(false);
        if (this.#word(")")) return inner;
        this.#problem ??= `${this.#place(this.#at)}: rule "grouping": Unmatched parentheses`;
      }
    }
    this.#at = start;
    return undefined;
  }

  #match(): Expression | undefined {
    const start = this.#at;
    const selector = this.#selector();
    if (selector !== undefined) {
      const found = this.#selectorFirst(selector);
      if (found !== undefined) return found;
    }
    this.#at = start;
    const value = this.#value();
    if (value === undefined) return undefined;
    const negations = [["in"], ["not", "in"]];
    for (const words of negations) {
      const after = this.#at;
      if (this.#words(words) && this.#blank(true)) {
        const target = this.#selector();
        if (target !== undefined) {
          const isNegated = words.length > 1;
          return { kind: "match", selector: target, operator: "in", isNegated, value };
        }
      }
      this.#at = after;
    }
    this.#at = start;
    return undefined;
  }

  #selectorFirst(selector: string[]): Expression | undefined {
    const start = this.#at;
    for (const [sign, isNegated] of [["==", false], ["!=", true]] as const) {
      this.#blank(false);
      if (this.#word(sign)) {
        this.#blank(false);
        const value = this.#value();
        if (value !== undefined) {
          return { kind: "match", selector, operator: "equal", isNegated, value };
        }
      }
      this.#at = start;
    }
    const worded: [string[], Operator, boolean][] = [
      [["contains"], "in", false],
      [["not", "contains"], "in", true],
      [["matches"], "matches", false],
      [["not", "matches"], "matches", true],
    ];
    for (const [words, operator, isNegated] of worded) {
      if (this.#words(words) && this.#blank(true)) {
        const value = this.#value();
        if (value !== undefined) return { kind: "match", selector, operator, isNegated, value };
      }
      this.#at = start;
    }
    for (const words of [["is", "empty"], ["is", "not", "empty"]]) {
      if (this.#words(words)) {
        const isNegated = words.length > 2;
        return { kind: "match", selector, operator: "empty", isNegated, value: "" };
      }
      this.#at = start;
    }
    return undefined;
  }

  #words(words: readonly string[]): boolean {
    return words.every((word) => this.#blank(true) && this.#word(word));
  }

  #selector(): string[] | undefined {
    const first = this.#identifier();
    if (first === undefined) return undefined;
    const parts = [first];
    for (;;) {
      const before = this.#at;
      if (this.#word(".")) {
        const next = this.#identifier();
        if (next !== undefined) {
          parts.push(next);
          continue;
        }
      }
      this.#at = before;
      if (this.#word("[")) {
        this.#blank(false);
        const key = this.#string();
        if (key !== undefined) {
          this.#blank(false);
          if (this.#word("]")) {
            parts.push(key);
            continue;
          }
        }
      }
      this.#at = before;
      return parts;
    }
  }

  #identifier(): string | undefined {
    const first = this.#class(/[a-zA-Z]/y, "[a-zA-Z]");
    if (first === undefined) return undefined;
    let name = first;
    for (;;) {
      const next = this.#class(/[a-zA-Z0-9_]/y, "[a-zA-Z0-9_]", false);
      if (next === undefined) return name;
      name += next;
    }
  }

  #value(): string | undefined {
    const start = this.#at;
    const word = this.#selector();
    if (word !== undefined) return this.#text.slice(start, this.#at);
    return this.#number() ?? this.#string();
  }

  #number(): string | undefined {
    const start = this.#at;
    this.#word("-");
    const digits = this.#word("0") ? "0" : this.#class(/[1-9]/y, "[1-9]");
    if (digits === undefined) {
      this.#at = start;
      return undefined;
    }
    if (digits !== "0") { while (this.#class(/[0-9]/y, "[0-9]") !== undefined); }
    const point = this.#at;
    if (this.#word(".")) {
      let count = 0;
      while (this.#class(/[0-9]/y, "[0-9]") !== undefined) count++;
      if (count === 0) this.#at = point;
    }
    const next = this.#text[this.#at];
    if (next === undefined || /[ \t\r\n)]/.test(next)) return this.#text.slice(start, this.#at);
    this.#problem ??= `${this.#place(this.#at)}: rule "number": Invalid number literal`;
    this.#at = start;
    return undefined;
  }

  #string(): string | undefined {
    for (const mark of ["`", '"']) {
      if (!this.#word(mark)) continue;
      const start = this.#at;
      const end = this.#text.indexOf(mark, start);
      if (end < 0) {
        this.#problem ??= `${
          this.#place(this.#text.length)
        }: rule "string": Unterminated string literal`;
        this.#at = start - 1;
        return undefined;
      }
      this.#at = end + 1;
      const inner = this.#text.slice(start, end);
      return mark === "`" ? inner : unquote(inner);
    }
    return undefined;
  }

  #word(word: string): boolean {
    if (this.#text.startsWith(word, this.#at)) {
      this.#at += word.length;
      return true;
    }
    this.#miss(JSON.stringify(word));
    return false;
  }

  #class(pattern: RegExp, label: string, isReported = true): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text);
    if (found === null) {
      if (isReported) this.#miss(label);
      return undefined;
    }
    this.#at++;
    return found[0];
  }

  /** Space; false when there must be some and there is none. */
  #blank(isRequired: boolean): boolean {
    let count = 0;
    while (this.#class(/[ \t\r\n]/y, "[ \\t\\r\\n]") !== undefined) count++;
    return count > 0 || !isRequired;
  }

  #miss(label: string): void {
    if (this.#at < this.#farthest) return;
    if (this.#at > this.#farthest) {
      this.#farthest = this.#at;
      this.#expected.clear();
    }
    this.#expected.add(label);
  }
}
