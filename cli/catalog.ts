// `catalog`: what the datacenter knows of nodes, services and datacenters.

import { pathEscape } from "./api.ts";
import { formatColumns, formatMap, formatTabs } from "./columns.ts";
import { flag, keyValues } from "./flags.ts";
import { ask, refuseArguments } from "./refusal.ts";
import type { Command, CommandContext } from "./command.ts";

interface CatalogNode {
  ID: string;
  Node: string;
  Address: string;
  Datacenter: string;
  TaggedAddresses: Record<string, string> | null;
  Meta: Record<string, string> | null;
}

const metaFlag = flag("node-meta", "strings", "Metadata to filter nodes with: `key=value`.");

export const commands: readonly Command[] = [
  {
    path: "catalog datacenters",
    summary: "Lists all known datacenters",
    usage: "[options]",
    isClient: true,
    isServerCall: true,
    run: datacenters,
  },
  {
    path: "catalog nodes",
    summary: "Lists all nodes in the given datacenter",
    usage: "[options]",
    flags: [
      flag("detailed", "bool", "Output detailed information about the nodes."),
      flag("filter", "string", "Filter to use with the request."),
      flag("near", "string", "Node name to sort the node list in ascending order of distance."),
      metaFlag,
      flag("service", "string", "Service to filter nodes."),
    ],
    isClient: true,
    isServerCall: true,
    hasTenancy: true,
    run: nodes,
  },
  {
    path: "catalog services",
    summary: "Lists all registered services in a datacenter",
    usage: "[options]",
    flags: [
      flag("node", "string", "Node for which to list services."),
      metaFlag,
      flag("tags", "bool", "Display each service's tags."),
    ],
    isClient: true,
    isServerCall: true,
    hasTenancy: true,
    run: services,
  },
];

async function datacenters({ args, api, terminal }: CommandContext): Promise<number> {
  refuseArguments(args);
  const names = await ask(
    "Error listing datacenters",
    api().json<string[]>("GET", "/v1/catalog/datacenters"),
  );
  for (const name of names) terminal.out(`${name}\n`);
  return 0;
}

async function nodes({ args, flags, api, terminal }: CommandContext): Promise<number> {
  refuseArguments(args);
  const service = flags.string("service");
  const path = service === "" ? "/v1/catalog/nodes" : `/v1/catalog/service/${pathEscape(service)}`;
  const found = await ask(
    "Error listing nodes",
    api().json<CatalogNode[]>("GET", path, {
      query: {
        ...given("filter", flags.string("filter")),
        ...given("near", flags.string("near")),
        "node-meta": metaQuery(flags.strings("node-meta")),
      },
    }),
  );
  // A node with several instances of the service is listed once.
  const unique = [...new Map(found.map((node) => [node.ID || node.Node, node])).values()];
  if (unique.length === 0) {
    terminal.err("No nodes match the given query - try expanding your search.\n");
    return 0;
  }
  const isDetailed = flags.bool("detailed");
  const header = ["Node", "ID", "Address", "DC"];
  const rows = unique.map((node) => {
    const row = [node.Node, isDetailed ? node.ID : shortId(node.ID), node.Address, node.Datacenter];
    return isDetailed
      ? [...row, formatMap(node.TaggedAddresses, ", "), formatMap(node.Meta, ", ")]
      : row;
  });
  terminal.out(
    formatColumns([isDetailed ? [...header, "TaggedAddresses", "Meta"] : header, ...rows]),
  );
  return 0;
}

async function services({ args, flags, api, terminal }: CommandContext): Promise<number> {
  refuseArguments(args);
  const node = flags.string("node");
  const query = { "node-meta": metaQuery(flags.strings("node-meta")) };
  const found = await ask(
    "Error listing services",
    node === ""
      ? api().json<Record<string, string[]>>("GET", "/v1/catalog/services", { query })
      : servicesOfNode(api(), node, query),
  );
  const names = Object.keys(found).sort();
  if (names.length === 0) {
    terminal.err("No services match the given query - try expanding your search.\n");
    return 0;
  }
  if (flags.bool("tags")) {
    const rows = names.map((name) => [name, [...found[name] ?? []].sort().join(",")]);
    terminal.out(formatTabs(rows));
  } else {
    for (const name of names) terminal.out(`${name}\n`);
  }
  return 0;
}

async function servicesOfNode(
  api: ReturnType<CommandContext["api"]>,
  node: string,
  query: Record<string, readonly string[]>,
): Promise<Record<string, string[]>> {
  const path = `/v1/catalog/node/${pathEscape(node)}`;
  const reply = await api.json<
    { Services: Record<string, { Service: string; Tags: string[] | null }> } | null
  >("GET", path, { query });
  const tags: Record<string, string[]> = {};
  for (const service of Object.values(reply?.Services ?? {})) {
    tags[service.Service] = [...tags[service.Service] ?? [], ...service.Tags ?? []];
  }
  return tags;
}

function given(name: string, value: string): Record<string, string> {
  return value === "" ? {} : { [name]: value };
}

function metaQuery(words: readonly string[]): string[] {
  return Object.entries(keyValues(words)).map(([key, value]) => `${key}:${value}`);
}

/** Up to the first dash. */
function shortId(id: string): string {
  return id.split("-")[0] ?? "";
}
