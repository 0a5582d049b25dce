// The JSON of kept registrations, as Consul writes it into data_dir.

import type { CheckDefinition } from "#shared/config/definitions.ts";
import { checkFromJson, checkToJson } from "../core/check-json.ts";
import type { CheckEntry, ServiceEntry } from "../core/local-state.ts";
import type { CheckRow, ServiceRow, Source } from "../core/model.ts";
import { emptyService } from "../core/model.ts";

export interface KeptService {
  row: ServiceRow;
  token: string;
  source: Source;
  isSidecar: boolean;
}

export interface KeptCheck {
  row: CheckRow;
  definition: CheckDefinition | null;
  token: string;
  source: Source;
}

type Json = Record<string, unknown>;

export function serviceFile(entry: ServiceEntry): string {
  const { row } = entry;
  const addresses = Object.entries(row.taggedAddresses)
    .map(([name, { address, port }]) => [name, { Address: address, Port: port }]);
  return JSON.stringify({
    Token: entry.token,
    Service: {
      ...(row.kind === "" ? {} : { Kind: row.kind }),
      ID: row.id,
      Service: row.service,
      Tags: row.tags,
      Address: row.address,
      ...(addresses.length === 0 ? {} : { TaggedAddresses: Object.fromEntries(addresses) }),
      Meta: row.meta,
      ...(row.port === 0 ? {} : { Port: row.port }),
      ...(row.socketPath === "" ? {} : { SocketPath: row.socketPath }),
      Weights: { Passing: row.weights.passing, Warning: row.weights.warning },
      EnableTagOverride: row.enableTagOverride,
      ...(row.localityJson === "" ? {} : { Locality: JSON.parse(row.localityJson) as Json }),
      Proxy: row.proxyJson === ""
        ? { Mode: "", MeshGateway: {}, Expose: {} }
        : JSON.parse(row.proxyJson) as Json,
      Connect: row.connectJson === "" ? {} : JSON.parse(row.connectJson) as Json,
      PeerName: "",
      CreateIndex: 0,
      ModifyIndex: 0,
    },
    Source: entry.source,
    LocallyRegisteredAsSidecar: entry.isSidecar,
  });
}

export function readServiceFile(text: string): KeptService {
  const file = JSON.parse(text) as Json;
  const service = object(file.Service);
  if (service === undefined) throw new Error("it holds no Service");
  const id = string(service.ID) || string(service.Service);
  if (id === "") throw new Error("its Service has no ID");
  const weights = object(service.Weights);
  const addresses = Object.entries(object(service.TaggedAddresses) ?? {}).map(([name, given]) => {
    const address = object(given) ?? {};
    return [name, { address: string(address.Address), port: Number(address.Port ?? 0) }];
  });
  return {
    row: {
      ...emptyService(),
      kind: string(service.Kind),
      id,
      service: string(service.Service),
      tags: strings(service.Tags),
      address: string(service.Address),
      port: Number(service.Port ?? 0),
      socketPath: string(service.SocketPath),
      taggedAddresses: Object.fromEntries(addresses) as ServiceRow["taggedAddresses"],
      meta: (object(service.Meta) ?? {}) as Record<string, string>,
      weights: weights === undefined
        ? { passing: 1, warning: 1 }
        : { passing: Number(weights.Passing ?? 1), warning: Number(weights.Warning ?? 1) },
      enableTagOverride: service.EnableTagOverride === true,
      proxyJson: string(service.Kind) === "" ? "" : jsonOf(service.Proxy),
      connectJson: jsonOf(service.Connect),
      localityJson: jsonOf(service.Locality),
    },
    token: string(file.Token),
    source: sourceOf(file.Source),
    isSidecar: file.LocallyRegisteredAsSidecar === true,
  };
}

export function checkFile(entry: CheckEntry): string {
  const { row } = entry;
  return JSON.stringify({
    Check: {
      CheckID: row.checkId,
      Name: row.name,
      Status: row.status,
      Notes: row.notes,
      Output: row.output,
      ServiceID: row.serviceId,
      ServiceName: row.serviceName,
      ServiceTags: row.serviceTags,
      Type: row.type,
      Interval: row.interval,
      Timeout: row.timeout,
      ExposedPort: 0,
      Definition: {},
      CreateIndex: 0,
      ModifyIndex: 0,
    },
    ChkType: entry.definition === null ? null : checkToJson(entry.definition),
    Token: entry.token,
    Source: entry.source,
  });
}

/** Consul comes back with every check critical: only what a check tells is believed. */
export function readCheckFile(text: string): KeptCheck {
  const file = JSON.parse(text) as Json;
  const check = object(file.Check);
  if (check === undefined) throw new Error("it holds no Check");
  const checkId = string(check.CheckID);
  if (checkId === "") throw new Error("its Check has no CheckID");
  return {
    row: {
      checkId,
      name: string(check.Name),
      status: "critical",
      notes: string(check.Notes),
      output: "",
      serviceId: string(check.ServiceID),
      serviceName: string(check.ServiceName),
      serviceTags: strings(check.ServiceTags),
      type: string(check.Type),
      interval: string(check.Interval),
      timeout: string(check.Timeout),
    },
    definition: object(file.ChkType) === undefined ? null : checkFromJson(object(file.ChkType)!),
    token: string(file.Token),
    source: sourceOf(file.Source),
  };
}

function string(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function strings(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function object(value: unknown): Json | undefined {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? value as Json
    : undefined;
}

function jsonOf(value: unknown): string {
  const fields = object(value);
  return fields === undefined || Object.keys(fields).length === 0 ? "" : JSON.stringify(fields);
}

/** Consul refuses files of an unknown source. */
function sourceOf(value: unknown): Source {
  if (value === "local" || value === "remote") return value;
  throw new Error(`it has the unknown Source ${JSON.stringify(value)}`);
}
