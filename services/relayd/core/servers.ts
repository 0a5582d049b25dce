// Which servers there are, by datacenter: the servers' view of gossipd's members. A server is a
// member with the tags role=consul and curia; its tags dc, id and port say the rest. Servers of
// Consul's, which may be observed in the pool, speak another protocol.

import type { MemberEvent } from "#proto/messages.js";

export interface Server {
  /** Raft id: the node id of the server. */
  id: string;
  /** Node name, without the datacenter that the WAN pool adds to it. */
  node: string;
  datacenter: string;
  address: string;
  port: number;
}

export type Pool = "lan" | "wan";

interface Known {
  server: Server;
  /** The round of full lists in which the pool last named it. */
  round: number;
}

/** Serf's number for a member that is there. */
const alive = 1;

export class Servers {
  readonly #pools: Record<Pool, Map<string, Known>> = { lan: new Map(), wan: new Map() };
  readonly #rounds: Record<Pool, number> = { lan: 0, wan: 0 };
  readonly #isWhole: Record<Pool, boolean> = { lan: false, wan: false };
  /** Joined servers by datacenter, made anew after each change. */
  #byDatacenter: Map<string, Server[]> | undefined;

  /** A member stream was opened: a full list follows. What was known stays until it is whole. */
  opened(pool: Pool): void {
    this.#rounds[pool]++;
  }

  /** Whether a full list of the pool has come since the start. */
  isWhole(pool: Pool): boolean {
    return this.#isWhole[pool];
  }

  /** True when the set of servers changed. */
  apply(pool: Pool, event: MemberEvent): boolean {
    if (event.kind === "view-complete") return this.#completed(pool);
    const member = event.member;
    if (member === null || member.tags.role !== "consul") return false;
    const key = member.name;
    const known = this.#pools[pool];
    const isThere = member.status === alive && event.kind !== "leave" &&
      event.kind !== "failed" && event.kind !== "reap";
    if (!isThere) return this.#changed(known.delete(key));
    const server = toServer(member.name, member.address, member.tags);
    if (server === undefined) return this.#changed(known.delete(key));
    const before = known.get(key);
    known.set(key, { server, round: this.#rounds[pool] });
    return this.#changed(before === undefined || !isSame(before.server, server));
  }

  of(datacenter: string): readonly Server[] {
    return this.#grouped().get(datacenter) ?? [];
  }

  datacenters(): string[] {
    return [...this.#grouped().keys()].sort();
  }

  find(datacenter: string, node: string): Server | undefined {
    const name = node.toLowerCase();
    return this.of(datacenter).find((server) => server.node.toLowerCase() === name);
  }

  /** The full list is there: who was not in it has gone while nobody listened. */
  #completed(pool: Pool): boolean {
    const known = this.#pools[pool];
    let isChanged = !this.#isWhole[pool];
    this.#isWhole[pool] = true;
    for (const [key, { round }] of known) {
      if (round === this.#rounds[pool]) continue;
      known.delete(key);
      isChanged = true;
    }
    return this.#changed(isChanged);
  }

  #changed(isChanged: boolean): boolean {
    if (isChanged) this.#byDatacenter = undefined;
    return isChanged;
  }

  #grouped(): Map<string, Server[]> {
    if (this.#byDatacenter !== undefined) return this.#byDatacenter;
    const groups = new Map<string, Server[]>();
    const seen = new Set<string>();
    // The LAN knows its own datacenter's servers by the address to use inside it.
    for (const pool of ["lan", "wan"] as const) {
      for (const { server } of this.#pools[pool].values()) {
        if (seen.has(server.id)) continue;
        seen.add(server.id);
        const group = groups.get(server.datacenter);
        if (group === undefined) groups.set(server.datacenter, [server]);
        else group.push(server);
      }
    }
    for (const group of groups.values()) group.sort((a, b) => a.id < b.id ? -1 : 1);
    return this.#byDatacenter = groups;
  }
}

function toServer(
  name: string,
  address: string,
  tags: Readonly<Record<string, string>>,
): Server | undefined {
  const { dc: datacenter = "", id = "", curia } = tags;
  const port = Number(tags.port);
  if (curia === undefined || datacenter === "" || id === "" || !(port > 0 && port < 65_536)) {
    return undefined;
  }
  const suffix = `.${datacenter}`;
  const node = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
  return { id, node, datacenter, address, port };
}

function isSame(a: Server, b: Server): boolean {
  return a.id === b.id && a.node === b.node && a.datacenter === b.datacenter &&
    a.address === b.address && a.port === b.port;
}
