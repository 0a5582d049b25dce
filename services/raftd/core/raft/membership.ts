// Who belongs to the cluster, from the moment the entry is in the log, and which changes may be
// made: one voter at a time (dissertation ch. 4; single-server change with the fix of 2015).

import { invariant } from "./invariant.ts";
import type { Configuration, ConfigurationChange, Server, ServerId } from "./messages.ts";

const emptyConfiguration: Configuration = { index: 0, servers: [] };

/** The configurations from the committed one on; the newest is in force. */
export class Membership {
  #list: Configuration[];
  #voters: ServerId[] = [];
  #members: ServerId[] = [];

  constructor(configurations: readonly Configuration[]) {
    this.#list = configurations.length > 0 ? [...configurations] : [emptyConfiguration];
    this.#count();
  }

  get latest(): Configuration {
    return this.#list[this.#list.length - 1]!;
  }

  get voters(): readonly ServerId[] {
    return this.#voters;
  }

  get members(): readonly ServerId[] {
    return this.#members;
  }

  isVoter(id: ServerId): boolean {
    return this.#voters.includes(id);
  }

  /** The newest configuration that is committed, given the commit index. */
  committed(commitIndex: number): Configuration {
    return this.#list.findLast((c) => c.index <= commitIndex) ?? this.#list[0]!;
  }

  /** Votes by the configuration in force, or by the one before it while the newest is not known to
   *  be committed. That one must be: only then could the newest be appended. */
  mayBeVoter(id: ServerId, commitIndex: number): boolean {
    if (this.isVoter(id)) return true;
    const before = this.latest.index > commitIndex ? this.#list.at(-2) : undefined;
    return before?.servers.some((s) => s.id === id && s.suffrage === "voter") ?? false;
  }

  append(configuration: Configuration): void {
    const before = this.latest;
    invariant(configuration.index > before.index, "a newer configuration", configuration.index);
    if (before.servers.length > 0) {
      const distance = voterDistance(before, configuration);
      invariant(distance <= 1, "one voter changed at a time", distance);
    }
    this.#list.push(configuration);
    this.#count();
  }

  /** Falls back to what was in force before the entry at `index`; true if that made a change. */
  truncateFrom(index: number): boolean {
    const kept = this.#list.filter((c) => c.index < index);
    if (kept.length === this.#list.length) return false;
    this.#list = kept.length > 0 ? kept : [emptyConfiguration];
    this.#count();
    return true;
  }

  /** Configurations before the committed one will never be needed again. */
  commit(commitIndex: number): void {
    while (this.#list.length > 1 && this.#list[1]!.index <= commitIndex) this.#list.shift();
  }

  /** Takes the configuration of a snapshot, and keeps those of entries that stay after it. */
  restore(configuration: Configuration, keepAfterIndex: number): void {
    const kept = this.#list.filter((c) => c.index > keepAfterIndex);
    this.#list = [configuration, ...kept];
    this.#count();
  }

  #count(): void {
    const servers = this.latest.servers;
    this.#voters = servers.filter((s) => s.suffrage === "voter").map((s) => s.id);
    this.#members = servers.map((s) => s.id);
  }
}

function voterDistance(a: Configuration, b: Configuration): number {
  const left = new Set(a.servers.filter((s) => s.suffrage === "voter").map((s) => s.id));
  let distance = 0;
  for (const server of b.servers) {
    if (server.suffrage === "voter" && !left.delete(server.id)) distance++;
  }
  return distance + left.size;
}

/** The servers after the change, or why it cannot be made. */
export function changedServers(
  servers: readonly Server[],
  change: ConfigurationChange,
): readonly Server[] | string {
  const present = servers.find((s) => s.id === change.id);
  const others = servers.filter((s) => s.id !== change.id);
  switch (change.kind) {
    case "add-nonvoter":
    case "add-voter": {
      const suffrage = change.kind === "add-voter" || present?.suffrage === "voter"
        ? "voter"
        : "nonvoter";
      return checkedServers([...others, { id: change.id, address: change.address, suffrage }]);
    }
    case "promote":
    case "demote": {
      if (!present) return `server ${change.id} is not a member`;
      const suffrage = change.kind === "promote" ? "voter" : "nonvoter";
      return checkedServers([...others, { ...present, suffrage }]);
    }
    case "remove":
      return present ? checkedServers(others) : `server ${change.id} is not a member`;
    default:
      return change satisfies never;
  }
}

/** The servers in the order of their ids, or what is wrong with them. */
export function checkedServers(servers: readonly Server[]): readonly Server[] | string {
  const ids = new Set<string>(), addresses = new Set<string>();
  for (const { id, address } of servers) {
    if (id === "") return "expected a server id, got none";
    if (address === "") return `expected an address for server ${id}, got none`;
    if (ids.has(id)) return `found duplicate server id ${id}`;
    if (addresses.has(address)) return `found duplicate address ${address}`;
    ids.add(id);
    addresses.add(address);
  }
  if (!servers.some((s) => s.suffrage === "voter")) return "need at least one voter";
  return [...servers].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A configuration entry's bytes. The index is the entry's own. */
export function encodeConfiguration(servers: readonly Server[]): Uint8Array {
  const rows = servers.map(({ id, address, suffrage }) => ({ id, address, suffrage }));
  return encoder.encode(JSON.stringify({ servers: rows }));
}

export function decodeConfiguration(index: number, bytes: Uint8Array): Configuration {
  const { servers } = JSON.parse(decoder.decode(bytes)) as { servers: Server[] };
  return {
    index,
    servers: servers.map(({ id, address, suffrage }) => ({ id, address, suffrage })),
  };
}
