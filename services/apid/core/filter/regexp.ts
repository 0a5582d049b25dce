// Regular expressions in RE2's syntax, as far as JavaScript has the same, with Go's error texts.

import { FilterError } from "./expression.ts";

/** Patterns longer than this are refused: ours backtrack, RE2 does not. */
const lengthMax = 1000;

export function compileRegexp(pattern: string): RegExp {
  const problem = regexpProblem(pattern);
  if (problem === undefined) {
    try {
      return new RegExp(...translate(pattern));
    } catch {
      // Told below.
    }
  }
  throw new FilterError(
    `Failed to compile regular expression "${pattern}": error parsing regexp: ` +
      (problem ?? `invalid or unsupported Perl syntax: \`${pattern}\``),
  );
}

function translate(pattern: string): [string, string] {
  const flags = /^\(\?([ims]+)\)/.exec(pattern);
  const body = flags === null ? pattern : pattern.slice(flags[0].length);
  const plain = body.replaceAll("(?P<", "(?<").replaceAll("\\A", "^").replaceAll("\\z", "$");
  return [plain, (flags?.[1] ?? "") + "u"];
}

/** What Go would say of a pattern that is wrong in one of the usual ways. */
export function regexpProblem(pattern: string): string | undefined {
  if (pattern.length > lengthMax) return `expression too large: \`${pattern.slice(0, 40)}…\``;
  let depth = 0;
  let canRepeat = false;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]!;
    if (char === "\\") {
      if (i + 1 === pattern.length) return "trailing backslash at end of expression: ``";
      i++;
      canRepeat = true;
    } else if (char === "[") {
      const end = classEnd(pattern, i);
      if (end < 0) return `missing closing ]: \`${pattern.slice(i)}\``;
      i = end;
      canRepeat = true;
    } else if (char === "(") {
      depth++;
      canRepeat = false;
      const group = /^\(\?(?:P?<\w+>|[imsU-]*:|[imsU-]+\))/.exec(pattern.slice(i));
      if (group !== null) {
        i += group[0].length - 1;
        if (group[0].endsWith(")")) depth--;
      } else if (pattern[i + 1] === "?") {
        return `invalid or unsupported Perl syntax: \`${pattern.slice(i, i + 3)}\``;
      }
    } else if (char === ")") {
      if (--depth < 0) return `unexpected ): \`${pattern}\``;
      canRepeat = true;
    } else if (/[*+?]/.test(char)) {
      if (!canRepeat) return `missing argument to repetition operator: \`${char}\``;
      if (pattern[i + 1] === "?") i++;
      else if (/[*+]/.test(pattern[i + 1] ?? "")) {
        return `invalid nested repetition operator: \`${pattern.slice(i, i + 2)}\``;
      }
    } else canRepeat = char !== "|";
  }
  return depth > 0 ? `missing closing ): \`${pattern}\`` : undefined;
}

function classEnd(pattern: string, start: number): number {
  let i = start + 1;
  if (pattern[i] === "^") i++;
  if (pattern[i] === "]") i++;
  for (; i < pattern.length; i++) {
    if (pattern[i] === "\\") i++;
    else if (pattern[i] === "]") return i;
  }
  return -1;
}
