// The project's own source files, for the rules about them.

import { readFileSync } from "node:fs";
import { join, relative } from "node:path";

export const root = join(import.meta.dirname, "../..");

export interface SourceFile {
  /** From the project's root, with slashes. */
  path: string;
  text: string;
}

const tops = ["services", "shared", "cli", "test", "bench", "scripts", "proto"];

/** Hand-written TypeScript; a rule that sees none of it must fail, so there are always some. */
export function sourceFiles(): SourceFile[] {
  const files = tops.flatMap((top) => [
    ...new Bun.Glob(`${top}/**/*.ts`).scanSync({ cwd: root }),
  ]);
  const ours = files.filter((path) => !path.startsWith("proto/gen/"));
  if (ours.length < 100) throw new Error(`Expected over 100 source files but found ${ours.length}`);
  return ours.sort().map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

export const isTest = (path: string) => path.startsWith("test/") || path.endsWith(".test.ts");

/** What a file imports, types too: a type is a dependency. Paths within the project are from its
 *  root, packages by name. */
export function importsOf({ path, text }: SourceFile): string[] {
  const found = text.matchAll(
    /^\s*(?:import|export)\b[^"';]*?\bfrom\s*"([^"]+)"|^\s*import\s*"([^"]+)"|\bimport\(\s*"([^"]+)"\s*\)/gm,
  );
  return [...found].map(([, from, bare, dynamic]) => resolve(path, from ?? bare ?? dynamic!));
}

function resolve(from: string, name: string): string {
  if (name.startsWith("#shared/")) return name.slice(1);
  if (name.startsWith("#proto/")) return `proto/gen/${name.slice(7)}`;
  if (!name.startsWith(".")) return name;
  return relative(root, join(root, from, "..", name));
}
