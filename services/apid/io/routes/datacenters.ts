// /v1/catalog/datacenters: the datacenters that the WAN pool shows.

import { Gossip } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { byBytes } from "../../core/json-writer.ts";
import type { Call, Handler, Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";

export interface DatacenterDaemons {
  readRoutes: ReadRoutes;
  /** The way to a server's gossipd: only servers are in the WAN pool. */
  state: BusClient;
  datacenter: string;
  useCache: boolean;
}

const wanTimeoutMs = 2_000;

export function datacenterRoutes(daemons: DatacenterDaemons): Route[] {
  let kept: { names: string[]; atMs: number } | undefined;
  const get: Handler = async (call: Call) => {
    const { isCached, cacheControl } = daemons.readRoutes.optionsOf(call);
    if (!isCached) return call.json(await datacenters(daemons));
    const ageMs = kept === undefined ? Infinity : performance.now() - kept.atMs;
    const isFresh = !cacheControl.mustRevalidate && ageMs <= (cacheControl.maxAgeMs ?? Infinity);
    if (kept !== undefined && isFresh) {
      const seconds = Math.floor(ageMs / 1000);
      return call.json(kept.names, `X-Cache: HIT\r\nAge: ${seconds}\r\n`);
    }
    kept = { names: await datacenters(daemons), atMs: performance.now() };
    return call.json(kept.names, "X-Cache: MISS\r\n");
  };
  return [{
    path: "/v1/catalog/datacenters",
    methods: { GET: get },
    acl: "none",
    enterprise: "none",
  }];
}

/** Our own first, then by name. */
async function datacenters({ state, datacenter }: DatacenterDaemons): Promise<string[]> {
  try {
    return [datacenter, ...await otherDatacenters(state, datacenter)];
  } catch {
    // No WAN pool, or no server to ask: we know of ourselves.
    return [datacenter];
  }
}

/** By name, as a server's WAN pool shows them; throws CuriaError when none can be asked. */
export async function otherDatacenters(state: BusClient, own: string): Promise<string[]> {
  const { members } = await state.of(Gossip).members(
    { wan: true },
    { daemon: "gossipd", timeoutMs: wanTimeoutMs },
  );
  const names = new Set<string>();
  for (const { tags, status } of members) {
    if (tags.role === "consul" && status !== 3 && tags.dc) names.add(tags.dc);
  }
  names.delete(own);
  return [...names].sort(byBytes);
}
