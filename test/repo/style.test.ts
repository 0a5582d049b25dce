// Sizes, names, and what must not stand in a core: the house style as far as a machine can tell.

import { expect, test } from "bun:test";
import { isTest, type SourceFile, sourceFiles } from "./sources.ts";

/** Files that may be longer, and why. */
const LONG_FILES: Record<string, string> = {
  "shared/config/types.ts": "one type per group of Consul's keys, to be read in one place",
};
const LINES_MAX = 300;

const REFUSED_NAMES = /(^|[-./])(utils?|helpers?|common|misc|manager|base|impl|data)([-./]|$)/;

/** Reading time or chance inside a core makes it another machine in the simulator. */
const IMPURE =
  /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|crypto\.randomUUID|crypto\.getRandomValues|setTimeout|setInterval|setImmediate|queueMicrotask|process\.(hrtime|env|nextTick)|Bun\.(sleep|nanoseconds|file|spawn))\b|\basync\b|\bawait\b/;

function tooLong(files: SourceFile[]): string[] {
  return files
    .filter(({ path }) => !isTest(path) && LONG_FILES[path] === undefined)
    .map(({ path, text }) => ({ path, lines: text.split("\n").length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX)
    .map(({ path, lines }) => `${path}: ${lines} lines`);
}

function impure(files: SourceFile[]): string[] {
  return files
    .filter(({ path }) => /^services\/[a-z]+\/(core|state)\//.test(path) && !isTest(path))
    .flatMap(({ path, text }) =>
      withoutComments(text).split("\n").flatMap((line, n) => {
        const found = IMPURE.exec(line);
        return found === null ? [] : [`${path}:${n + 1} uses ${found[0]}`];
      })
    );
}

function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ""))
    .replace(/(^|[^:"'`])\/\/[^\n]*/g, "$1")
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
}

const named = (files: SourceFile[]) =>
  files.map(({ path }) => path).filter((path) => REFUSED_NAMES.test(path));

const badFileNames = (files: SourceFile[]) =>
  files.map(({ path }) => path).filter((path) =>
    !/^[a-z0-9-]+(\.test)?\.ts$/.test(path.split("/").pop()!)
  );

const headless = (files: SourceFile[]) =>
  files.filter(({ path, text }) => !isTest(path) && !/^(#!.*\n)?\/[/*]/.test(text))
    .map(({ path }) => path);

test("files stay within their size", () => {
  expect(tooLong(sourceFiles())).toEqual([]);
});

test("cores read neither clock nor chance and never wait", () => {
  expect(impure(sourceFiles())).toEqual([]);
});

test("files are named for what they hold", () => {
  expect(named(sourceFiles())).toEqual([]);
  expect(badFileNames(sourceFiles())).toEqual([]);
});

test("every file begins by saying what it decides", () => {
  expect(headless(sourceFiles())).toEqual([]);
});

test("nothing is skipped and every test file asserts", () => {
  const tests = sourceFiles().filter(({ path }) => path.endsWith(".test.ts"));
  const skipping = /\b(test|it|describe)\.(skip|todo|only|if|skipIf|todoIf)\b/;
  // The pattern itself stands in this file.
  const others = tests.filter(({ path }) => path !== "test/repo/style.test.ts");
  expect(others.filter(({ text }) => skipping.test(text)).map(({ path }) => path)).toEqual([]);
  const silent = others.filter(({ text }) => !/\bexpect\b|\bassert\b/.test(text));
  expect(silent.map(({ path }) => path)).toEqual([]);
});

test("planted violations are found", () => {
  const core = "services/dnsd/core/a.ts";
  expect(impure([{ path: core, text: "const t = Date.now();" }])).toHaveLength(1);
  expect(impure([{ path: core, text: "async function f() {}" }])).toHaveLength(1);
  expect(impure([{ path: core, text: "// Date.now is passed in\n" }])).toEqual([]);
  expect(impure([{ path: "services/dnsd/io/a.ts", text: "Date.now()" }])).toEqual([]);
  expect(tooLong([{ path: core, text: "x\n".repeat(301) }])).toHaveLength(1);
  expect(named([{ path: "shared/utils.ts", text: "" }])).toHaveLength(1);
  expect(named([{ path: "shared/bus/deadline.ts", text: "" }])).toEqual([]);
  expect(badFileNames([{ path: "shared/BusClient.ts", text: "" }])).toHaveLength(1);
  expect(headless([{ path: core, text: "import x;" }])).toHaveLength(1);
});
