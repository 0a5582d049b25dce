// Keeps the catalog equal to what gossip says of this datacenter's members; the leader alone does it.
// Consul's rules: alive members are registered with a passing serfHealth, failed ones turn critical,
// those that left or were forgotten are deregistered; nodes without serfHealth are not ours to touch.

import type { Check, CommandInput, Member, Node, Service } from "#proto/messages.js";

/** The rows of the state that a decision needs. */
export interface CatalogRows {
  node(name: string): Node | undefined;
  check(node: string, id: string): Check | undefined;
  service(node: string, id: string): Service | undefined;
  /** Names of the nodes that have a serfHealth check. */
  nodesWithSerfHealth(): Iterable<string>;
}

export interface ReconcileSettings {
  datacenter: string;
  /** This server's own node: another leader handles its leaving. */
  self: string;
}

export const serfHealth = "serfHealth";
const consulService = "consul";

/** Serf's status numbers. */
const status = { alive: 1, leaving: 2, left: 3, failed: 4 } as const;

/** Two nodes that are there at once under one ID: the catalog would rename one to the other. */
export interface IdConflict {
  member: string;
  holder: string;
  id: string;
}

/** The commands that bring the catalog in line, in order; empty: it is. `members` is everyone gossip
 *  knows, failed and left ones too. */
export function reconcile(
  members: readonly Member[],
  rows: CatalogRows,
  settings: ReconcileSettings,
): CommandInput[] {
  const ours = members.filter((member) => isAgent(member, settings.datacenter));
  const refused = new Set(idConflicts(ours, rows, settings).map(({ member }) => member));
  const commands = ours.flatMap((member) => {
    switch (member.status) {
      case status.alive:
      case status.leaving:
        return refused.has(member.name) ? [] : registerAlive(member, rows, settings);
      case status.failed:
        return registerFailed(member, rows, settings);
      case status.left:
        return member.name === settings.self ? [] : deregister(member.name, rows);
      default:
        return [];
    }
  });
  const known = new Set(members.map(({ name }) => name.toLowerCase()));
  for (const name of rows.nodesWithSerfHealth()) {
    const isOurs = name.toLowerCase() === settings.self.toLowerCase();
    if (!known.has(name.toLowerCase()) && !isOurs) commands.push(...deregister(name, rows));
  }
  return commands;
}

/** Who may not take its ID because another live node has it: the one in the catalog stays, else the
 *  first by name. */
export function idConflicts(
  members: readonly Member[],
  rows: CatalogRows,
  { datacenter }: ReconcileSettings,
): IdConflict[] {
  const claims = new Map<string, Member[]>();
  for (const member of members) {
    const id = (member.tags["id"] ?? "").toLowerCase();
    const isThere = member.status === status.alive || member.status === status.leaving;
    if (id === "" || !isThere || !isAgent(member, datacenter)) continue;
    claims.set(id, [...claims.get(id) ?? [], member]);
  }
  return [...claims].flatMap(([id, claimants]) => {
    if (claimants.length === 1) return [];
    const sorted = claimants.toSorted((a, b) => a.name < b.name ? -1 : 1);
    const holder = sorted.find(({ name }) => rows.node(name)?.id.toLowerCase() === id) ??
      sorted[0]!;
    return sorted.filter((member) => member !== holder)
      .map(({ name }) => ({ member: name, holder: holder.name, id }));
  });
}

/** Guests of the pool, such as plain Serf agents, are no nodes of the catalog. */
function isAgent({ tags }: Member, datacenter: string): boolean {
  const { role, dc } = tags;
  return dc === datacenter && (role === "node" || role === "consul");
}

function registerAlive(
  member: Member,
  rows: CatalogRows,
  settings: ReconcileSettings,
): CommandInput[] {
  const { name, address, tags } = member;
  const node = rows.node(name);
  const health = rows.check(name, serfHealth);
  const wanted = wantedHealth(member);
  const service = wantedService(member);
  const isCurrent = node?.address === address && node.id === (tags["id"] ?? "") &&
    health?.status === wanted.status && health.output === wanted.output &&
    (service === undefined || sameService(rows.service(name, consulService), service));
  if (isCurrent) return [];
  const version = /\d+\.\d+\.\d+/.exec(tags["build"] ?? "")?.[0] ?? "";
  return [{
    register: {
      node: {
        id: tags["id"] ?? "",
        node: name,
        address,
        datacenter: settings.datacenter,
        taggedAddresses: node?.taggedAddresses ?? {},
        hasTaggedAddresses: node?.hasTaggedAddresses ?? false,
        meta: { ...node?.meta, "consul-version": version },
        hasMeta: true,
        localityJson: node?.localityJson ?? null,
      },
      service: service ?? null,
      checks: [{ ...wanted, node: name, checkId: serfHealth, name: "Serf Health Status" }],
    },
  }];
}

/** A node whose checker is gone cannot vouch for its services. */
function wantedHealth({ tags }: Member): { status: string; output: string } {
  if (tags["checkd"] === "absent") {
    return {
      status: "critical",
      output: "Agent alive and reachable, but its checkd is not running: checks are not kept up",
    };
  }
  return { status: "passing", output: "Agent alive and reachable" };
}

function registerFailed(
  { name, address, tags }: Member,
  rows: CatalogRows,
  { datacenter }: ReconcileSettings,
): CommandInput[] {
  const node = rows.node(name);
  const health = rows.check(name, serfHealth);
  const isTold = health?.status === "critical" && health.output === failedOutput;
  // An address that is not the catalog's belongs to an older or a foreign node of that name.
  if (node === undefined || node.address !== address || isTold) return [];
  return [{
    register: {
      node: { id: tags["id"] ?? "", node: name, address, datacenter },
      skipNodeUpdate: true,
      checks: [{
        node: name,
        checkId: serfHealth,
        name: "Serf Health Status",
        status: "critical",
        output: failedOutput,
      }],
    },
  }];
}

const failedOutput = "Agent not live or unreachable";

function deregister(name: string, rows: CatalogRows): CommandInput[] {
  return rows.node(name) === undefined ? [] : [{ deregister: { node: name } }];
}

/** The `consul` entry of a server; undefined: the member is a client, or a server of Consul's that
 *  is only observed and must not be taken for one of ours. */
function wantedService({ tags, ...member }: Member): Partial<Service> | undefined {
  if (tags["role"] !== "consul" || tags["port"] === undefined || tags["curia"] === undefined) {
    return undefined;
  }
  const meta: Record<string, string> = {
    non_voter: String(tags["nonvoter"] === "1"),
    read_replica: String(tags["read_replica"] === "1"),
    raft_version: tags["raft_vsn"] ?? "",
    serf_protocol_current: String(member.protocolCur),
    serf_protocol_min: String(member.protocolMin),
    serf_protocol_max: String(member.protocolMax),
    version: /\d+\.\d+\.\d+/.exec(tags["build"] ?? "")?.[0] ?? "",
  };
  for (const name of ["grpc_port", "grpc_tls_port"]) {
    if (tags[name] !== undefined) meta[name] = tags[name];
  }
  return {
    id: consulService,
    service: consulService,
    port: Number(tags["port"]),
    weights: { passing: 1, warning: 1 },
    tags: [],
    hasTags: true,
    meta,
    hasMeta: true,
  };
}

function sameService(known: Service | undefined, wanted: Partial<Service>): boolean {
  if (known === undefined || known.port !== wanted.port) return false;
  const [a, b] = [known.meta, wanted.meta!];
  const names = Object.keys(b);
  return Object.keys(a).length === names.length && names.every((name) => a[name] === b[name]);
}
