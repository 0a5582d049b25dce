// Typed access to merged settings. Complaints that Consul collects are collected here.

import { DurationError, formatDurationMs, parseDurationMs } from "../consul/duration.ts";
import type { Settings } from "./decode.ts";
import type { KeyType } from "./key.ts";
import { keyByPath } from "./table.ts";

export class SettingsReader {
  readonly errors: string[] = [];
  readonly warnings: string[];
  readonly #settings: Settings;

  constructor(settings: Settings, warnings: string[]) {
    this.#settings = settings;
    this.warnings = warnings;
  }

  /** Undefined when nothing set it and it has no default. */
  optional<T>(path: string): T | undefined {
    return (this.#settings.get(path) ?? undefined) as T | undefined;
  }

  string(path: string): string {
    return this.#get(path, "string", "") as string;
  }

  bool(path: string): boolean {
    return this.#get(path, "bool", false) as boolean;
  }

  int(path: string): number {
    return this.#settings.get(path) as number ?? 0;
  }

  strings(path: string): string[] {
    return this.#get(path, "strings", []) as string[];
  }

  map(path: string): Record<string, string> {
    return this.#get(path, "map", {}) as Record<string, string>;
  }

  ints(path: string): Record<string, number> {
    return this.#get(path, "ints", {}) as Record<string, number>;
  }

  any(path: string): Record<string, unknown> {
    return this.#get(path, "any", {}) as Record<string, unknown>;
  }

  /** Milliseconds. An unreadable duration, or one below `minMs`, is collected and reads as 0. */
  ms(path: string, minMs?: number): number {
    return this.durationMs(path, this.#get(path, "duration", "0s") as string, minMs);
  }

  durationMs(path: string, text: string, minMs?: number): number {
    let value: number;
    try {
      value = parseDurationMs(text);
    } catch (error) {
      if (!(error instanceof DurationError)) throw error;
      this.errors.push(`${path}: invalid duration: ${JSON.stringify(text)}: ${error.message}`);
      return 0;
    }
    if (minMs !== undefined && value < minMs) {
      const least = formatDurationMs(minMs);
      this.errors.push(`${path}: duration '${text}' cannot be less than: ${least}`);
    }
    return value;
  }

  /** Only well-formed CIDRs; the others are collected under the name given. */
  cidrs(path: string, name: string, isCidr: (text: string) => boolean): string[] {
    const texts = this.strings(path);
    for (const text of texts) {
      if (!isCidr(text)) this.errors.push(`${name}: invalid cidr: ${text}`);
    }
    return texts;
  }

  #get(path: string, type: KeyType, fallback: unknown): unknown {
    const row = keyByPath.get(path);
    if (row?.type !== type) throw new Error(`key ${path} is ${row?.type}, read as ${type}`);
    return this.#settings.get(path) ?? fallback;
  }
}
