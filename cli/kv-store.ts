// Reads and writes keys for the commands of `kv`.

import { ApiError, pathEscape } from "./api.ts";
import type { ApiClient } from "./api.ts";
import { CommandFailure } from "./refusal.ts";

export interface KvPair {
  Key: string;
  Value: string | null;
  Flags: number;
  LockIndex: number;
  CreateIndex: number;
  ModifyIndex: number;
  Session?: string;
}

export function readPairs(agent: ApiClient, key: string, query: Record<string, string>) {
  return readList<KvPair>(agent, key, query);
}

export async function readList<Item>(
  agent: ApiClient,
  key: string,
  query: Record<string, string>,
): Promise<Item[]> {
  const { status, text } = await agent.call("GET", kvPath(key), { query, accept: [404] });
  return status === 404 ? [] : JSON.parse(text) as Item[];
}

export function kvPath(key: string): string {
  return `/v1/kv/${pathEscape(key)}`;
}

export async function write(
  agent: ApiClient,
  method: string,
  key: string,
  query: Record<string, string>,
  body: Uint8Array | undefined,
  prefix: string,
): Promise<boolean> {
  try {
    const options = body === undefined ? { query } : { query, body };
    const { text } = await agent.call(method, kvPath(key), options);
    return text.trim() === "true";
  } catch (error) {
    throw failed(prefix, error);
  }
}

export function refuseTooMany(got: number, expected: number): never {
  throw new CommandFailure(`Error! Too many arguments (expected ${expected}, got ${got})`);
}

export function failed(prefix: string, error: unknown): unknown {
  return error instanceof ApiError ? new CommandFailure(`${prefix}: ${error.message}`) : error;
}
