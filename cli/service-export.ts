// `services export`: makes a service known to peers, beside those exported already.

import { ApiError } from "./api.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure } from "./refusal.ts";

export const exportCommand: Command = {
  path: "services export",
  summary: "Export a service from one peer or admin partition to another",
  usage: "[options] -name <service> -consumer-peers <other cluster name>",
  flags: [
    flag("name", "string", "(Required) Specify the name of the service you want to export."),
    flag("consumer-peers", "string", "A comma-separated list of cluster peers."),
    flag("consumer-partitions", "string", "A comma-separated list of partitions."),
  ],
  isClient: true,
  isServerCall: true,
  hasTenancy: true,
  run: exportService,
};

interface ExportedServices {
  Kind: string;
  Name: string;
  Services?: { Name: string; Consumers?: { Peer?: string; Partition?: string }[] }[];
  ModifyIndex?: number;
}

/** Adds to what is exported already; a change in between is refused by the index. */
async function exportService({ flags, api, terminal }: CommandContext): Promise<number> {
  const name = flags.string("name");
  const peers = commaList(flags.string("consumer-peers"));
  const partitions = commaList(flags.string("consumer-partitions"));
  if (name === "") throw new CommandFailure("Missing the required -name flag");
  if (peers.length === 0 && partitions.length === 0) {
    throw new CommandFailure(
      "Missing the required -consumer-peers or -consumer-partitions flag",
    );
  }
  const agent = api();
  const entryName = flags.string("partition", "default");
  const prefix = "Error exporting service";
  const entry = await ask(prefix, readExported(agent, entryName));
  const services = entry.Services ?? [];
  const service = services.find(({ Name }) => Name === name) ?? { Name: name, Consumers: [] };
  if (!services.includes(service)) services.push(service);
  const wanted = [
    ...peers.map((Peer) => ({ Peer })),
    ...partitions.map((Partition) => ({ Partition })),
  ];
  const known = new Set((service.Consumers ?? []).map((consumer) => JSON.stringify(consumer)));
  service.Consumers = [
    ...service.Consumers ?? [],
    ...wanted.filter((consumer) => !known.has(JSON.stringify(consumer))),
  ];
  const reply = await ask(
    prefix,
    agent.call("PUT", "/v1/config", {
      query: { cas: String(entry.ModifyIndex ?? 0) },
      body: { ...entry, Services: services },
    }),
  );
  if (reply.text.trim() !== "true") {
    throw new CommandFailure(`${prefix}: the exported services changed meanwhile, try again`);
  }
  const to = [
    ...(peers.length > 0 ? [`cluster peers ${JSON.stringify(peers.join(","))}`] : []),
    ...(partitions.length > 0 ? [`partitions ${JSON.stringify(partitions.join(","))}`] : []),
  ];
  terminal.out(`Successfully exported service ${JSON.stringify(name)} to ${to.join(" and to ")}\n`);
  return 0;
}

async function readExported(
  agent: ReturnType<CommandContext["api"]>,
  name: string,
): Promise<ExportedServices> {
  try {
    return await agent.json<ExportedServices>("GET", `/v1/config/exported-services/${name}`);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    return { Kind: "exported-services", Name: name };
  }
}

function commaList(text: string): string[] {
  return text.split(",").map((word) => word.trim()).filter((word) => word !== "");
}
