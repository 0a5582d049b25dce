// /v1/catalog/datacenters: the datacenters that the WAN pool shows.

import { Gossip } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { byDistance } from "../../core/near.ts";
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
/** Serf's number. */
const leftStatus = 3;

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

/** Our own first. */
async function datacenters({ state, datacenter }: DatacenterDaemons): Promise<string[]> {
  try {
    return [datacenter, ...await otherDatacenters(state, datacenter)];
  } catch {
    // No WAN pool, or no server to ask: we know of ourselves.
    return [datacenter];
  }
}

/** Nearest first, as a server's WAN pool shows them; throws CuriaError when none can be asked. */
export async function otherDatacenters(state: BusClient, own: string): Promise<string[]> {
  const gossip = state.of(Gossip);
  const options = { daemon: "gossipd", timeoutMs: wanTimeoutMs };
  const { members, localName } = await gossip.members({ wan: true }, options);
  const servers = members.flatMap(({ name, tags, status }) => {
    const { role, curia, dc: datacenter } = tags;
    // A Consul server that is only observed leads nowhere.
    if (role !== "consul" || curia === undefined || status === leftStatus || !datacenter) return [];
    return [{ node: withoutDatacenter(name, datacenter), datacenter }];
  });
  if (servers.every(({ datacenter }) => datacenter === own)) return [];
  const { coordinates } = await gossip.coordinates({ wan: true }, options);
  const from = { node: withoutDatacenter(localName, own), datacenter: own };
  return byDistance(servers, coordinates, from);
}

function withoutDatacenter(name: string, datacenter: string): string {
  const suffix = `.${datacenter}`;
  return name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
}
