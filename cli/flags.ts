// Flags as commands state and read them.

import type { FlagSpec } from "#shared/config/go-flags.ts";

/** Given flags by name, with the defaults of a command that uses them. */
export class Flags {
  readonly #values: ReadonlyMap<string, unknown>;

  constructor(values: ReadonlyMap<string, unknown>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  string(name: string, fallback = ""): string {
    return this.#values.get(name) as string | undefined ?? fallback;
  }

  bool(name: string, fallback = false): boolean {
    return this.#values.get(name) as boolean | undefined ?? fallback;
  }

  int(name: string, fallback = 0): number {
    return this.#values.get(name) as number | undefined ?? fallback;
  }

  strings(name: string): string[] {
    return this.#values.get(name) as string[] | undefined ?? [];
  }
}

export function flag(name: string, type: FlagSpec["type"], help: string): FlagSpec {
  return { name, type, help };
}

/** `k=v` words as an object, in Consul's way: a word without `=` has an empty value. */
export function keyValues(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.map((word) => {
    const at = word.indexOf("=");
    return at < 0 ? [word, ""] : [word.slice(0, at), word.slice(at + 1)];
  }));
}
