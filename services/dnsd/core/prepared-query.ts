// Prepared queries: which definition a name stands for (by id, by name, by the longest template
// prefix) and which instances it selects.

import type { Instance, Lookup, Place, QueryResult, View } from "./view.ts";

/** The definition as the state keeps it, with Consul's field names. */
export interface PreparedQuery {
  ID?: string;
  Name?: string;
  Template?: { Type?: string; Regexp?: string; RemoveEmptyTags?: boolean };
  Service?: {
    Service?: string;
    Failover?: { NearestN?: number; Datacenters?: string[] | null };
    OnlyPassing?: boolean;
    IgnoreCheckIDs?: string[] | null;
    Near?: string;
    Tags?: string[] | null;
    NodeMeta?: Record<string, string> | null;
    ServiceMeta?: Record<string, string> | null;
    Connect?: boolean;
    Peer?: string;
  };
  DNS?: { TTL?: string };
}

interface Selection {
  service: string;
  connect: boolean;
  onlyPassing: boolean;
  ignoredCheckIds: ReadonlySet<string>;
  tags: string[];
  nodeMeta: Record<string, string>;
  serviceMeta: Record<string, string>;
}

export function runPreparedQuery(
  definitions: Iterable<unknown>,
  nameOrId: string,
  datacenter: string,
  view: View,
): Lookup<QueryResult | undefined> {
  const query = findQuery(definitions, nameOrId);
  if (query === undefined) return { kind: "found", rows: undefined };
  const selection = select(query, nameOrId);
  if (selection === undefined) return { kind: "found", rows: undefined };
  const ttlSeconds = parseTtlSeconds(query.DNS?.TTL ?? "");
  // Distances are not known here: every order is a draw.
  const isSorted = false;
  const peer = query.Service?.Peer ?? "";
  const datacenters = [datacenter, ...(query.Service?.Failover?.Datacenters ?? [])];
  for (const place of datacenters) {
    const lookup = lookUp(view, selection, { datacenter: place, peer });
    if (lookup.kind === "wait") return lookup;
    // A datacenter that cannot be reached is passed over, as Consul does.
    if (lookup.kind === "failed") continue;
    const instances = lookup.rows.filter((instance) => isSelected(instance, selection));
    if (instances.length > 0) {
      return found({
        service: selection.service,
        datacenter: place,
        instances,
        isSorted,
        ttlSeconds,
      });
    }
  }
  return found({ service: selection.service, datacenter, instances: [], isSorted, ttlSeconds });
}

function found(rows: QueryResult): Lookup<QueryResult | undefined> {
  return { kind: "found", rows };
}

function lookUp(view: View, selection: Selection, place: Place): Lookup<Instance[]> {
  return selection.connect
    ? view.connectInstances(selection.service, place)
    : view.instances(selection.service, place);
}

function findQuery(definitions: Iterable<unknown>, nameOrId: string): PreparedQuery | undefined {
  const wanted = nameOrId.toLowerCase();
  let template: PreparedQuery | undefined;
  for (const query of definitions as Iterable<PreparedQuery>) {
    const name = query.Name?.toLowerCase() ?? "";
    if (query.ID?.toLowerCase() === wanted) return query;
    if ((query.Template?.Type ?? "") === "") {
      if (name !== "" && name === wanted) return query;
    } else if (wanted.startsWith(name) && name.length >= (template?.Name?.length ?? 0)) {
      template = query;
    }
  }
  return template;
}

function select(query: PreparedQuery, name: string): Selection | undefined {
  const service = query.Service;
  if (service === undefined) return undefined;
  const fill = (query.Template?.Type ?? "") === "" ? (text: string) => text : filler(query, name);
  if (fill === undefined) return undefined;
  let tags = (service.Tags ?? []).map(fill);
  if (query.Template?.RemoveEmptyTags === true) tags = tags.filter((tag) => tag !== "");
  return {
    service: fill(service.Service ?? ""),
    connect: service.Connect ?? false,
    onlyPassing: service.OnlyPassing ?? false,
    ignoredCheckIds: new Set(service.IgnoreCheckIDs ?? []),
    tags,
    nodeMeta: fillValues(service.NodeMeta ?? {}, fill),
    serviceMeta: fillValues(service.ServiceMeta ?? {}, fill),
  };
}

function fillValues(
  map: Record<string, string>,
  fill: (text: string) => string,
): Record<string, string> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, fill(value)]));
}

/** Puts `${name.full}`, `${name.prefix}`, `${name.suffix}` and `${match(n)}` into a text. */
function filler(query: PreparedQuery, name: string): ((text: string) => string) | undefined {
  const prefix = query.Name ?? "";
  let groups: readonly (string | undefined)[] = [];
  if ((query.Template?.Regexp ?? "") !== "") {
    try {
      groups = new RegExp(query.Template!.Regexp!).exec(name) ?? [];
    } catch {
      return undefined;
    }
  }
  return (text) =>
    text.replace(
      /\$\{\s*(?:name\.(\w+)|match\(\s*(\d+)\s*\)|agent\.segment)\s*\}/g,
      (_, part, n) => {
        if (n !== undefined) return groups[Number(n)] ?? "";
        if (part === "full") return name;
        if (part === "prefix") return prefix;
        return part === "suffix" ? name.slice(prefix.length) : "";
      },
    );
}

function isSelected({ node, service, checks }: Instance, selection: Selection): boolean {
  for (const check of checks) {
    if (selection.ignoredCheckIds.has(check.checkId)) continue;
    if (check.status === "critical") return false;
    if (selection.onlyPassing && check.status !== "passing") return false;
  }
  const tags = service.tags.map((tag) => tag.toLowerCase());
  for (const tag of selection.tags) {
    const isExcluded = tag.startsWith("!");
    const wanted = (isExcluded ? tag.slice(1) : tag).toLowerCase();
    if (tags.includes(wanted) === isExcluded) return false;
  }
  return includesAll(node.meta, selection.nodeMeta) &&
    includesAll(service.meta, selection.serviceMeta);
}

function includesAll(have: Record<string, string>, wanted: Record<string, string>): boolean {
  return Object.entries(wanted).every(([key, value]) => have[key] === value);
}

const unitSeconds: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600 };

/** Whole seconds of a Go duration, fractions cut; undefined when there is none. */
function parseTtlSeconds(text: string): number | undefined {
  if (text === "") return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
    seconds += Number(amount) * unitSeconds[unit!]!;
  }
  return Math.floor(seconds);
}
