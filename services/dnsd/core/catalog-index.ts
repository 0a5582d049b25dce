// What the catalog's rows are found by besides their names: mesh service, address.

import { parseIp } from "./ip.ts";
import type { ServiceRow } from "./view.ts";

/** The service that this one is a mesh endpoint of; empty = of none. */
export function connectedService(row: ServiceRow): string {
  if (row.kind === "connect-proxy") {
    return readJson<{ DestinationServiceName?: string }>(row.proxyJson)?.DestinationServiceName ??
      "";
  }
  return readJson<{ Native?: boolean }>(row.connectJson)?.Native === true ? row.service : "";
}

function readJson<T>(bytes: Uint8Array): T | undefined {
  if (bytes.length === 0) return undefined;
  try {
    return JSON.parse(decoder.decode(bytes)) as T;
  } catch {
    return undefined;
  }
}

const decoder = new TextDecoder();

/** One key per address that can be looked up in reverse; none for a peer's or a host name. */
export function addressKeys(peer: string, address: string): string[] {
  const bytes = peer === "" ? parseIp(address) : undefined;
  return bytes === undefined ? [] : [bytes.join(".")];
}

/** Key → members, in order of arrival. */
export class Index {
  readonly #members = new Map<string, Set<string>>();

  get(key: string): Iterable<string> {
    return this.#members.get(key) ?? [];
  }

  add(key: string, member: string): void {
    const members = this.#members.get(key);
    if (members === undefined) this.#members.set(key, new Set([member]));
    else members.add(member);
  }

  delete(key: string, member: string): void {
    const members = this.#members.get(key);
    if (members?.delete(member) && members.size === 0) this.#members.delete(key);
  }
}
