import { expect, test } from "bun:test";
import { WireError } from "../wire/reader.ts";
import { isSearched } from "./expression.ts";

const cases: [expression: string, text: string, found: boolean][] = [
  ["we.", "web", true],
  ["we.", "we", false],
  ["^we$", "awe", false],
  ["", "anything", true],
  ["a|b", "xbx", true],
  ["^(foo|bar)+$", "foobarfoo", true],
  ["^(foo|bar)+$", "foobarfo", false],
  ["^a{2,3}$", "aaa", true],
  ["^a{2,3}$", "aaaa", false],
  ["^a{2,}$", "aaaaaa", true],
  ["^a{2}$", "a", false],
  ["^x*?y$", "xxy", true],
  ["[a-c]-[^0-9]", "b-x", true],
  ["[a-c]-[^0-9]", "b-1", false],
  ["[]a]", "]", true],
  ["[a\\]]", "]", true],
  ["\\d+\\.\\d+", "v1.21", true],
  ["\\bweb\\b", "a web b", true],
  ["\\bweb\\b", "cobweb", false],
  ["(?i)WEB", "my web", true],
  ["(?i)^[a-c]+$", "AbC", true],
  ["(?P<name>x)", "x", true],
  ["(?:ab)*c", "ababc", true],
  ["a{,2}", "a{,2}", true],
  ["é+", "éé", true],
  ["^.$", "😀", true],
];

for (const [expression, text, found] of cases) {
  test(`${expression} in "${text}": ${found}`, () => {
    expect(isSearched(expression, text)).toBe(found);
  });
}

test("what Go would not compile is an error", () => {
  for (const wrong of ["(", ")", "[a", "*a", "a\\", "\\q", "(?=a)", "[b-a]", "a{2000}", "a{3,2}"]) {
    expect(() => isSearched(wrong, "a")).toThrow(WireError);
  }
});

test("expressions that make a backtracking engine hang end at once", () => {
  const startMs = performance.now();
  expect(isSearched("^(a+)+$", `${"a".repeat(500)}b`)).toBe(false);
  expect(() => isSearched("((((a{1000}){1000}){1000}){1000})", "a")).toThrow("too large");
  expect(() => isSearched("((((){1000}){1000}){1000}){1000}", "a")).toThrow("too large");
  expect(() => isSearched("(".repeat(5000), "a")).toThrow("too deep");
  expect(performance.now() - startMs).toBeLessThan(2_000);
});
