// The effective configuration as agent/self shows it: everything but secrets.

import type { Json } from "../json-writer.ts";

const secret = /token|secret|password|key$|^encrypt$|private|management/i;

export function debugConfig(config: object): Json {
  return shown("", config);
}

function shown(name: string, value: unknown): Json {
  if (Array.isArray(value)) return value.map((item) => shown(name, item));
  if (value !== null && typeof value === "object") {
    return new Map(
      Object.entries(value).map(([key, item]): [string, Json] => [pascal(key), shown(key, item)]),
    );
  }
  if (typeof value === "string" && value !== "" && secret.test(name)) return "hidden";
  return value as Json;
}

function pascal(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}
