// A second build: a copy of these sources that knows one kind of command more, "touch", which sets a
// key to its own name. Made as a release would make it: proto, generated code, announcing, apply.

import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Codec } from "#proto/messages.js";
import { generate } from "../../scripts/codegen.ts";

const root = join(import.meta.dirname, "../..");
const schema = "services/raftd/state/command-schema.ts";
const touch = `case "touch": {
        const { key } = command.touch;
        const flags = new Uint8Array(8);
        const put = { verb: KvVerb.KV_SET, key, value: key, flags, index: 0, session: "" };
        return this.#outcome(this.#applyKv(put));
      }
      `;

/** What must occur once in its file, and what takes its place. */
const changes: readonly [file: string, from: string, to: string][] = [
  ["package.json", '"version": "0.1.0"', '"version": "0.2.0"'],
  ["proto/raftd.proto", "RestoreCommand restore = 11;", "$& TouchCommand touch = 12;"],
  ["proto/raftd.proto", "message ReapTombstones", "message TouchCommand { bytes key = 1; }\n$&"],
  [schema, '[11, "restore"],', '$& [12, "touch"],'],
  [schema, "Command: form(11,", "Command: form(12,"],
  [schema, '11: "RestoreCommand",', '$& 12: "TouchCommand",'],
  [schema, "RestoreCommand: form(3),", "$& TouchCommand: form(1),"],
  ["services/raftd/state/apply.ts", 'case "restore":', `${touch}$&`],
];

export class NextRelease {
  readonly #folder = mkdtempSync(join(tmpdir(), "curia-next-"));

  constructor() {
    for (const name of ["cli", "services", "shared", "proto", "scripts", "package.json"]) {
      cpSync(join(root, name), join(this.#folder, name), { recursive: true });
    }
    symlinkSync(join(root, "node_modules"), join(this.#folder, "node_modules"));
    for (const [file, from, to] of changes) this.#edit(file, from, to.replace("$&", from));
    const proto = join(this.#folder, "proto");
    for (const [name, text] of generate(proto)) writeFileSync(join(proto, "gen", name), text);
  }

  /** How a node of this build is run. */
  get program(): string[] {
    return [process.execPath, join(this.#folder, "cli/curia.ts")];
  }

  /** How this build encodes commands. */
  async codec(): Promise<Codec<never, unknown>> {
    return (await import(join(this.#folder, "proto/gen/messages.js"))).Command;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #edit(file: string, from: string, to: string): void {
    const path = join(this.#folder, file);
    const parts = readFileSync(path, "utf8").split(from);
    if (parts.length !== 2) {
      throw new Error(`expected "${from}" once in ${file}, found it ${parts.length - 1} times`);
    }
    writeFileSync(path, parts.join(to));
  }
}
