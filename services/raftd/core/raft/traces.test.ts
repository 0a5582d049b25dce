// Golden traces: commands and all that came of them. `deno task golden -u` rewrites them; read
// the diff before committing it.

import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Stage } from "./trace-stage.ts";

const folder = join(import.meta.dir, "traces");
const files = readdirSync(folder).filter((name) => name.endsWith(".txt"));

/** Lines that begin with > are commands; # explains; the rest is what came of them. */
function replayed(text: string): string {
  const stage = new Stage();
  const lines: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) lines.push(line);
    if (!line.startsWith("> ")) continue;
    lines.push(line, ...stage.run(line.slice(2)).map((shown) => `  ${shown}`));
  }
  return lines.join("\n") + "\n";
}

test("there are traces", () => {
  expect(files.length).toBeGreaterThanOrEqual(6);
});

test.each(files)("%s", (name) => {
  const path = join(folder, name);
  const text = readFileSync(path, "utf8");
  const trace = replayed(text);
  if (process.env.UPDATE_TRACES) writeFileSync(path, trace);
  else expect(trace).toBe(text);
});
