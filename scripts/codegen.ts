// Makes proto/gen from proto/*.proto: messages.js and .d.ts (codecs), services.ts (typed methods).
// Usage: bun scripts/codegen.ts [--check]; --check writes nothing and fails when gen is stale.

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { emitMessages } from "./codegen/messages.ts";
import { readSchema } from "./codegen/schema.ts";
import { emitServices } from "./codegen/services.ts";
import { emitTypes } from "./codegen/types.ts";

/** The generated files: name → text. The same .proto files always give the same text. */
export function generate(protoDir: string): Map<string, string> {
  const sources = readdirSync(protoDir)
    .filter((name) => name.endsWith(".proto") && name !== "options.proto")
    .sort()
    .map((name) => ({ name, text: readFileSync(join(protoDir, name), "utf8") }));
  if (sources.length === 0) throw new Error(`Expected .proto files in ${protoDir}, found none`);
  const schema = readSchema(sources);
  return new Map([
    ["messages.js", emitMessages(schema)],
    ["messages.d.ts", emitTypes(schema)],
    ["services.ts", emitServices(schema)],
  ]);
}

/** Names of the files in `outDir` that differ from what would be generated. */
export function staleFiles(files: Map<string, string>, outDir: string): string[] {
  return [...files].filter(([name, text]) => {
    const path = join(outDir, name);
    return !existsSync(path) || readFileSync(path, "utf8") !== text;
  }).map(([name]) => name);
}

if (import.meta.main) {
  const protoDir = join(import.meta.dirname, "../proto");
  const outDir = join(protoDir, "gen");
  const files = generate(protoDir);
  const stale = staleFiles(files, outDir);
  if (process.argv.includes("--check")) {
    if (stale.length > 0) {
      console.error(`proto/gen is stale: ${stale.join(", ")}; run "deno task codegen"`);
      process.exit(1);
    }
  } else {
    mkdirSync(outDir, { recursive: true });
    for (const name of stale) writeFileSync(join(outDir, name), files.get(name)!);
  }
}
