// Which servers of the LAN pool must still be brought into the WAN pool.
import type { Member, Peer } from "../border.ts";
import { serverOf } from "./server.ts";

/** Members of the WAN pool are named after node and datacenter. */
export function wanName(nodeName: string, datacenter: string): string {
  return `${nodeName}.${datacenter}`;
}

export function floodTargets(
  lanMembers: readonly Member[],
  wanMembers: readonly Member[],
  datacenter: string,
): Peer[] {
  const known = new Set(
    wanMembers.filter((member) => member.status === "alive").map((member) => member.name),
  );
  return lanMembers.flatMap((member) => {
    const server = member.status === "alive" ? serverOf(member.tags) : undefined;
    const name = wanName(member.name, datacenter);
    const port = server?.wanJoinPort;
    if (server?.datacenter !== datacenter || port === undefined || known.has(name)) return [];
    return [{ name, address: member.address, port }];
  });
}
