// Connections to servers: one for each that is used, closed some time after its server is gone.

import { BusClient } from "#shared/bus/client.ts";
import type { BusCounts, BusLog, Identity } from "#shared/bus/types.ts";
import type { Server } from "../core/servers.ts";

export interface LinkEvents {
  /** The server cannot be reached, or its connection broke. */
  failed(id: string): void;
  answered(id: string): void;
}

interface Link {
  client: BusClient;
  address: string;
}

export class Links {
  readonly #identity: Identity;
  readonly #log: BusLog;
  readonly #counts: BusCounts;
  readonly #events: LinkEvents;
  readonly #links = new Map<string, Link>();

  constructor(identity: Identity, log: BusLog, counts: BusCounts, events: LinkEvents) {
    this.#identity = identity;
    this.#log = log;
    this.#counts = counts;
    this.#events = events;
  }

  get openCount(): number {
    return [...this.#links.values()].filter((link) => link.client.isConnected).length;
  }

  to(server: Server): BusClient {
    const address = `${server.address}:${server.port}`;
    const known = this.#links.get(server.id);
    if (known?.address === address) return known.client;
    // A server that came back under another address.
    known?.client.close();
    const client = new BusClient({
      addresses: [{ host: server.address, port: server.port }],
      daemon: `raftd on ${server.node}`,
      identity: this.#identity,
      log: this.#log,
      counts: this.#counts,
      // relayd itself decides where a broken call goes next.
      waits: false,
    });
    client.onUnreachable = () => this.#events.failed(server.id);
    client.onDisconnected = () => this.#events.failed(server.id);
    client.onConnected = () => this.#events.answered(server.id);
    this.#links.set(server.id, { client, address });
    return client;
  }

  /** Closes what leads to servers that are not known any more. Calls on them go elsewhere. */
  keep(ids: ReadonlySet<string>): void {
    for (const [id, { client }] of this.#links) {
      if (ids.has(id)) continue;
      client.close();
      this.#links.delete(id);
    }
  }

  close(): void {
    this.keep(new Set());
  }
}
