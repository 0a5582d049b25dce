// Regular expressions of tag filters, in Go's syntax (RE2): searched unanchored, in time linear in the
// text. The language's own engine backtracks, and a peer's expression could then stop the daemon.
import { WireError } from "../wire/reader.ts";

type Test = (code: number) => boolean;
type Part =
  | { kind: "one"; test: Test; next: number }
  | { kind: "fork"; next: number[] }
  | { kind: "assert"; at: "start" | "end" | "boundary" | "no-boundary"; next: number }
  | { kind: "match" };

const partsMax = 2_000;
const repeatMax = 1_000;
const depthMax = 100;

export function isSearched(expression: string, text: string): boolean {
  const machine = new Compiler(expression).compile();
  const codes = [...text].map((char) => char.codePointAt(0)!);
  let current = new Set<number>();
  for (let at = 0; at <= codes.length; at++) {
    follow(machine.parts, machine.start, at, codes, current);
    if (current.has(machine.end)) return true;
    const next = new Set<number>();
    for (const index of current) {
      const part = machine.parts[index]!;
      if (part.kind !== "one" || at === codes.length || !part.test(codes[at]!)) continue;
      follow(machine.parts, part.next, at + 1, codes, next);
    }
    if (next.has(machine.end)) return true;
    current = next;
  }
  return false;
}

/** Adds the part and what is reached from it without reading. */
function follow(parts: Part[], from: number, at: number, codes: number[], into: Set<number>): void {
  const pending = [from];
  while (pending.length > 0) {
    const index = pending.pop()!;
    if (into.has(index)) continue;
    const part = parts[index]!;
    into.add(index);
    if (part.kind === "fork") pending.push(...part.next);
    else if (part.kind === "assert" && holds(part.at, at, codes)) pending.push(part.next);
  }
}

function holds(what: string, at: number, codes: number[]): boolean {
  if (what === "start") return at === 0;
  if (what === "end") return at === codes.length;
  const isBoundary = isWord(codes[at - 1]) !== isWord(codes[at]);
  return what === "boundary" ? isBoundary : !isBoundary;
}

function isWord(code: number | undefined): boolean {
  return code !== undefined && /\w/.test(String.fromCodePoint(code));
}

const classes: Record<string, Test> = {
  d: (code) => code >= 48 && code <= 57,
  w: isWord,
  s: (code) => code === 32 || (code >= 9 && code <= 13 && code !== 11),
};
const escapes: Record<string, number> = { n: 10, t: 9, r: 13, f: 12, v: 11, a: 7 };

/** A piece of the machine: where it starts, and a hook that says where it goes on. */
type Piece = (next: number) => number;

class Compiler {
  readonly #source: string[];
  #at = 0;
  #depth = 0;
  #fold = false;
  #repeats = 0;
  #parts: Part[] = [];

  constructor(expression: string) {
    this.#source = [...expression];
  }

  compile(): { parts: Part[]; start: number; end: number } {
    if (this.#source.slice(0, 4).join("") === "(?i)") {
      this.#fold = true;
      this.#at = 4;
    }
    const piece = this.#alternatives();
    if (this.#at < this.#source.length) throw this.#wrong("unexpected )");
    const end = this.#add({ kind: "match" });
    return { start: piece(end), end, parts: this.#parts };
  }

  #alternatives(): Piece {
    if (++this.#depth > depthMax) throw this.#wrong("nested too deep");
    const choices = [this.#sequence()];
    while (this.#peek() === "|") {
      this.#at++;
      choices.push(this.#sequence());
    }
    this.#depth--;
    if (choices.length === 1) return choices[0]!;
    return (next) => this.#add({ kind: "fork", next: choices.map((piece) => piece(next)) });
  }

  #sequence(): Piece {
    const pieces: Piece[] = [];
    for (let char = this.#peek(); char !== undefined && char !== "|" && char !== ")";) {
      pieces.push(this.#repeated(this.#atom()));
      char = this.#peek();
    }
    return (next) => pieces.reduceRight((after, piece) => piece(after), next);
  }

  #repeated(piece: Piece): Piece {
    const [low, high] = this.#bounds() ?? [1, 1];
    if (low === 1 && high === 1) return piece;
    if (this.#peek() === "?") this.#at++;
    return (next) => {
      let start = next;
      if (high === Infinity) {
        const fork = { kind: "fork" as const, next: [next] };
        start = this.#add(fork);
        fork.next.push(piece(start));
      } else {
        for (let extra = high - low; extra > 0; extra--) {
          start = this.#add({ kind: "fork", next: [piece(start), next] });
        }
      }
      for (let must = low; must > 0; must--) {
        // Empty pieces add no parts, but nested counts of them would still take for ever.
        if (++this.#repeats > partsMax) throw this.#wrong("expression is too large");
        start = piece(start);
      }
      return start;
    };
  }

  #bounds(): [number, number] | undefined {
    const char = this.#peek();
    const simple: Record<string, [number, number]> = {
      "*": [0, Infinity],
      "+": [1, Infinity],
      "?": [0, 1],
    };
    if (char !== undefined && simple[char]) {
      this.#at++;
      return simple[char];
    }
    if (char !== "{") return undefined;
    const counted = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#source.slice(this.#at).join(""));
    if (!counted) return undefined;
    this.#at += counted[0].length;
    const low = Number(counted[1]);
    const high = counted[2] === undefined ? low : counted[3] ? Number(counted[3]) : Infinity;
    const isWrong = high < low || low > repeatMax || (high !== Infinity && high > repeatMax);
    if (isWrong) throw this.#wrong("invalid repeat count");
    return [low, high];
  }

  #atom(): Piece {
    const char = this.#source[this.#at++]!;
    switch (char) {
      case "(":
        return this.#group();
      case "[":
        return this.#one(this.#set());
      case ".":
        return this.#one((code) => code !== 10);
      case "^":
        return this.#assert("start");
      case "$":
        return this.#assert("end");
      case "\\":
        return this.#escaped();
      case "*":
      case "+":
      case "?":
        throw this.#wrong("missing argument to repetition");
      default:
        return this.#literal(char.codePointAt(0)!);
    }
  }

  #group(): Piece {
    const rest = this.#source.slice(this.#at, this.#at + 40).join("");
    const head = /^\?(:|P?<\w+>)/.exec(rest);
    if (head) this.#at += head[0].length;
    else if (rest.startsWith("?")) throw this.#wrong("invalid group");
    const piece = this.#alternatives();
    if (this.#source[this.#at++] !== ")") throw this.#wrong("missing )");
    return piece;
  }

  #escaped(): Piece {
    const char = this.#source[this.#at++];
    if (char === "A") return this.#assert("start");
    if (char === "z") return this.#assert("end");
    if (char === "b") return this.#assert("boundary");
    if (char === "B") return this.#assert("no-boundary");
    return this.#one(this.#escapedTest(char));
  }

  #escapedTest(char: string | undefined): Test {
    if (char === undefined) throw this.#wrong("trailing backslash");
    const known = classes[char.toLowerCase()];
    if (known) return char === char.toLowerCase() ? known : (code) => !known(code);
    const code = escapes[char] ?? char.codePointAt(0)!;
    if (/[a-zA-Z0-9]/.test(char) && escapes[char] === undefined) {
      throw this.#wrong(`invalid escape \\${char}`);
    }
    return (other) => other === code;
  }

  #set(): Test {
    const isInverse = this.#peek() === "^";
    if (isInverse) this.#at++;
    const tests: Test[] = [];
    for (let isFirst = true; isFirst || this.#peek() !== "]"; isFirst = false) {
      const char = this.#source[this.#at++];
      if (char === undefined) throw this.#wrong("missing ]");
      if (char === "\\") {
        tests.push(this.#escapedTest(this.#source[this.#at++]));
        continue;
      }
      const low = char.codePointAt(0)!;
      let high = low;
      if (this.#peek() === "-" && this.#source[this.#at + 1] !== "]") {
        high = this.#source[this.#at + 1]?.codePointAt(0) ?? low;
        this.#at += 2;
        if (high < low) throw this.#wrong("invalid character class range");
      }
      tests.push((code) => code >= low && code <= high);
    }
    this.#at++;
    const folded: Test = (code) =>
      tests.some((test) => test(code) || (this.#fold && caseTwins(code).some(test)));
    return isInverse ? (code) => !folded(code) : folded;
  }

  #literal(code: number): Piece {
    if (!this.#fold) return this.#one((other) => other === code);
    const twins = caseTwins(code);
    return this.#one((other) => twins.includes(other));
  }

  #one(test: Test): Piece {
    return (next) => this.#add({ kind: "one", test, next });
  }

  #assert(at: Extract<Part, { kind: "assert" }>["at"]): Piece {
    return (next) => this.#add({ kind: "assert", at, next });
  }

  #add(part: Part): number {
    if (this.#parts.length >= partsMax) throw this.#wrong("expression is too large");
    return this.#parts.push(part) - 1;
  }

  #peek(): string | undefined {
    return this.#source[this.#at];
  }

  #wrong(what: string): WireError {
    return new WireError(`cannot parse the expression "${this.#source.join("")}": ${what}`);
  }
}

function caseTwins(code: number): number[] {
  const char = String.fromCodePoint(code);
  return [code, char.toLowerCase().codePointAt(0)!, char.toUpperCase().codePointAt(0)!];
}
