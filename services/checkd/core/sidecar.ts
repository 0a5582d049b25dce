// What a service's sidecar block stands for: a proxy registration of its own (Consul, sidecar
// service registration).

import { CuriaError } from "#shared/errors.ts";
import type { LocalState } from "./local-state.ts";
import type { ServiceRegistration, ServiceRow } from "./model.ts";
import { emptyCheck, sidecarId } from "./model.ts";

/** Inclusive; 0 or less: no ports are given out. */
export interface PortRange {
  min: number;
  max: number;
}

const listenIntervalMs = 10_000;

/** The sidecar's registration with all that it takes from its parent. */
export function expandSidecar(
  parent: ServiceRow,
  parentToken: string,
  sidecar: ServiceRegistration,
  local: LocalState,
  range: PortRange,
): ServiceRegistration {
  if (sidecar.service.id !== "") {
    throw invalid("sidecar_service cannot have an ID: it is made from that of its service");
  }
  if (sidecar.sidecar !== null) {
    throw invalid("sidecar_service cannot have a nested sidecar_service");
  }
  const asked = sidecar.service;
  const row: ServiceRow = {
    ...asked,
    id: sidecarId(parent.id),
    service: asked.service || `${parent.service}-sidecar-proxy`,
    kind: asked.kind || "connect-proxy",
    address: asked.address || parent.address,
    tags: asked.tags.length > 0 ? asked.tags : parent.tags,
    meta: Object.keys(asked.meta).length > 0 ? asked.meta : parent.meta,
    localityJson: asked.localityJson || parent.localityJson,
  };
  row.port = asked.port !== 0 ? asked.port : portFor(row.id, local, range);
  const proxy = proxyOf(parent, asked);
  row.proxyJson = JSON.stringify(proxy);
  const checks = sidecar.checks.length > 0
    ? sidecar.checks
    : defaultChecks(parent, row, String(proxy.LocalServiceAddress ?? ""));
  return { service: row, checks, token: sidecar.token || parentToken, sidecar: null };
}

function proxyOf(parent: ServiceRow, asked: ServiceRow): Record<string, unknown> {
  const given = asked.proxyJson === ""
    ? {}
    : JSON.parse(asked.proxyJson) as Record<string, unknown>;
  const proxy: Record<string, unknown> = {
    ...given,
    DestinationServiceName: parent.service,
    DestinationServiceID: parent.id,
  };
  const hasTarget = Boolean(given.LocalServiceAddress) || Boolean(given.LocalServicePort);
  if (parent.socketPath !== "" && !hasTarget && !given.LocalServiceSocketPath) {
    proxy.LocalServiceSocketPath = parent.socketPath;
  }
  if (!proxy.LocalServiceSocketPath) {
    proxy.LocalServiceAddress = given.LocalServiceAddress || "127.0.0.1";
    proxy.LocalServicePort = given.LocalServicePort || parent.port;
  }
  return proxy;
}

function defaultChecks(parent: ServiceRow, row: ServiceRow, localAddress: string) {
  const host = row.address || localAddress || "127.0.0.1";
  return [
    {
      ...emptyCheck(),
      name: "Connect Sidecar Listening",
      tcp: `${host.includes(":") ? `[${host}]` : host}:${row.port}`,
      intervalMs: listenIntervalMs,
    },
    { ...emptyCheck(), name: `Connect Sidecar Aliasing ${parent.id}`, aliasService: parent.id },
  ];
}

/** A sidecar keeps its port; a new one gets the lowest that no service here uses. */
function portFor(id: string, local: LocalState, range: PortRange): number {
  if (range.min < 1 || range.max < 1) {
    throw invalid("no port provided for sidecar_service and auto-assignment disabled in config");
  }
  const kept = local.services.get(id)?.row.port ?? 0;
  if (kept >= range.min && kept <= range.max) return kept;
  const used = new Set([...local.services.values()].map((entry) => entry.row.port));
  for (let port = range.min; port <= range.max; port++) {
    if (!used.has(port)) return port;
  }
  throw invalid(
    "no port provided for sidecar_service and none left in the configured range " +
      `[${range.min}, ${range.max}]`,
  );
}

function invalid(text: string): CuriaError {
  return new CuriaError("invalid-argument", `Invalid SidecarService: ${text}`);
}
