// Rows of other datacenters, read when a question needs them.

import { State } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import type { CallOptions } from "#shared/bus/types.ts";
import { toCuriaError } from "#shared/errors.ts";
import { type Fetched, needKey } from "../core/catalog-view.ts";
import type { CatalogNeed } from "./server.ts";

const timeoutMs = 5_000;
/** So long a datacenter that is not there is not asked for again. */
const unknownMs = 1_000;
const unknownMax = 1_000;

export class RemoteRows {
  readonly #client: BusClient;
  readonly #token: string;

  /** Equal needs of several questions are fetched once. */
  readonly #inFlight = new Map<string, Promise<Fetched>>();
  /** Datacenter → when it may be asked for again. */
  readonly #unknown = new Map<string, number>();

  constructor(client: BusClient, token: string) {
    this.#client = client;
    this.#token = token;
  }

  fetch(need: CatalogNeed): Promise<Fetched> {
    const key = needKey(need);
    let flight = this.#inFlight.get(key);
    if (flight === undefined) {
      flight = this.#fetch(need).finally(() => this.#inFlight.delete(key));
      this.#inFlight.set(key, flight);
    }
    return flight;
  }

  async #fetch(need: CatalogNeed): Promise<Fetched> {
    const datacenter = need.kind === "prepared-query" ? need.datacenter : need.place.datacenter;
    const nowMs = performance.now();
    if ((this.#unknown.get(datacenter) ?? 0) > nowMs) {
      return { kind: "failed", code: "no-path-to-datacenter" };
    }
    try {
      return await this.#read(need);
    } catch (error) {
      const { code } = toCuriaError(error);
      if (code === "no-path-to-datacenter") {
        if (this.#unknown.size >= unknownMax) this.#unknown.clear();
        this.#unknown.set(datacenter, nowMs + unknownMs);
      }
      return { kind: "failed", code };
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
