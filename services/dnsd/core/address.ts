// Which of a node's or an instance's addresses an answer shows: by the question's type, and by the
// WAN addresses when the row belongs to another datacenter (`translate_wan_addrs`).

import { typeCodes } from "./records/records.ts";
import type { DnsSettings } from "./settings.ts";
import type { NodeRow, ServiceRow } from "./view.ts";

export function nodeAddress(node: NodeRow, type: number, settings: DnsSettings): string {
  return choose(
    type,
    node.address,
    (key) => node.taggedAddresses[key] ?? "",
    isTranslated(nodeDatacenter(node, settings), settings),
  );
}

/** Rows of our own state may leave their datacenter out; a peer's rows have none, which counts as
 *  another one. */
function nodeDatacenter(node: NodeRow, settings: DnsSettings): string {
  return node.datacenter === "" && node.peerName === "" ? settings.datacenter : node.datacenter;
}

export function serviceAddress(
  service: ServiceRow,
  type: number,
  datacenter: string,
  settings: DnsSettings,
): string {
  return choose(
    type,
    service.address,
    (key) => service.taggedAddresses[key]?.address ?? "",
    isTranslated(datacenter, settings),
  );
}

export function servicePort(
  service: ServiceRow,
  datacenter: string,
  settings: DnsSettings,
): number {
  const wan = service.taggedAddresses["wan"];
  return isTranslated(datacenter, settings) && wan !== undefined && wan.port !== 0
    ? wan.port
    : service.port;
}

function isTranslated(datacenter: string, settings: DnsSettings): boolean {
  return settings.translateWanAddrs && datacenter !== settings.datacenter;
}

function choose(
  type: number,
  stored: string,
  tagged: (key: string) => string,
  isRemote: boolean,
): string {
  const main = isRemote ? tagged("wan") || stored : stored;
  const v4 = () => isRemote && tagged("wan_ipv4") || tagged("lan_ipv4");
  const v6 = () => isRemote && tagged("wan_ipv6") || tagged("lan_ipv6");
  switch (type) {
    case typeCodes.A:
      return v4() || main;
    case typeCodes.AAAA:
      return v6() || main;
    default:
      return v6() || v4() || main;
  }
}
