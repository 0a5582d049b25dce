// Rows of other datacenters, read when a question needs them.

import { State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import type { CallOptions } from "#shared/bus/types.ts";
import { toCuriaError } from "#shared/errors.ts";
import type { Fetched } from "../core/catalog-view.ts";
import type { CatalogNeed } from "./server.ts";

const timeoutMs = 5_000;

export class RemoteRows {
  readonly #client: BusClient;
  readonly #token: string;

  constructor(client: BusClient, token: string) {
    this.#client = client;
    this.#token = token;
  }

  async fetch(need: CatalogNeed): Promise<Fetched> {
    try {
      return await this.#read(need);
    } catch (error) {
      return { kind: "failed", code: toCuriaError(error).code };
    }
  }

  async #read(need: CatalogNeed): Promise<Fetched> {
    const state = this.#client.of(State);
    switch (need.kind) {
      case "instances": {
        const query = {
          instances: { service: need.service, connect: need.connect, withChecks: true },
        };
        const reply = await state.read({ query }, this.#options(need.place.datacenter));
        const instances = reply.instances.flatMap(({ node, service, checks }) =>
          node === null || service === null
            ? []
            : [{ node: { ...node, datacenter: need.place.datacenter }, service, checks }]
        );
        return { kind: "instances", instances };
      }
      case "node": {
        const query = { node: { node: need.node, withChecks: false } };
        const reply = await state.read({ query }, this.#options(need.place.datacenter));
        const [node] = reply.nodes;
        const { datacenter } = need.place;
        return { kind: "node", node: node && { ...node, datacenter } };
      }
      // Another datacenter's queries are executed there; the bus has no method for it yet.
      case "prepared-query":
        return { kind: "failed", code: "no-path-to-datacenter" };
      default:
        return need satisfies never;
    }
  }

  #options(datacenter: string): CallOptions {
    return { datacenter, token: this.#token, consistency: "stale", timeoutMs };
  }
}
