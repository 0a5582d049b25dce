// Rows for tests, with everything filled in that a test does not care about.

import type { CheckRow, NodeRow, ServiceRow } from "./view.ts";

const none = new Uint8Array(0);

export function nodeRow(node: string, address: string, more: Partial<NodeRow> = {}): NodeRow {
  const place = { datacenter: "dc1", peerName: "" };
  return { node, address, ...place, taggedAddresses: {}, meta: {}, ...more };
}

export function serviceRow(
  node: string,
  service: string,
  more: Partial<ServiceRow> = {},
): ServiceRow {
  return {
    ...{ node, id: service, service, kind: "", tags: [], address: "", port: 80, peerName: "" },
    ...{ taggedAddresses: {}, meta: {}, weights: null, proxyJson: none, connectJson: none },
    ...more,
  };
}

export function checkRow(
  node: string,
  checkId: string,
  status: string,
  serviceId = "",
): CheckRow {
  return { node, checkId, status, serviceId, peerName: "" };
}
