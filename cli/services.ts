// `services`: registers and deregisters with the local agent, exports to peers.

import { formatDurationMs } from "#shared/consul/duration.ts";
import { parseAgentFlags } from "#shared/config/agent-flags.ts";
import type { CheckDefinition, ServiceDefinition } from "#shared/config/definitions.ts";
import { readServiceFiles } from "#shared/config/load.ts";
import { ConfigRefusal } from "#shared/config/source.ts";
import { ApiError, pathEscape } from "./api.ts";
import { flag, keyValues } from "./flags.ts";
import { ask, CommandFailure } from "./refusal.ts";
import type { Command, CommandContext } from "./command.ts";

const reach = { isClient: true, isServerCall: true, hasTenancy: true };

export const commands: readonly Command[] = [
  {
    path: "services deregister",
    summary: "Deregister services with the local agent",
    usage: "[options] [FILE...]",
    flags: [flag("id", "string", "ID to delete. This must not be set if arguments are given.")],
    ...reach,
    run: deregister,
  },
  {
    path: "services export",
    summary: "Export a service from one peer or admin partition to another",
    usage: "[options] -name <service> -consumer-peers <other cluster name>",
    flags: [
      flag("name", "string", "(Required) Specify the name of the service you want to export."),
      flag("consumer-peers", "string", "A comma-separated list of cluster peers."),
      flag("consumer-partitions", "string", "A comma-separated list of partitions."),
    ],
    ...reach,
    run: exportService,
  },
  {
    path: "services register",
    summary: "Register services with the local agent",
    usage: "[options] [FILE...]",
    flags: [
      flag(
        "address",
        "string",
        "Address of the service to register for argument-based registration.",
      ),
      flag("id", "string", "ID of the service to register for argument-based registration."),
      flag("kind", "string", "The services 'kind'"),
      flag("meta", "strings", "Metadata to set on the service, `key=value`."),
      flag("name", "string", "Name of the service to register for argument-based registration."),
      flag("port", "int", "Port of the service to register for argument-based registration."),
      flag(
        "socket",
        "string",
        "Path to the Unix domain socket to register (conflicts with address and port).",
      ),
      flag("tag", "strings", "Tag to add to the service. May be specified multiple times."),
      flag("tagged-address", "strings", "Tagged address to set on the service, `key=value`."),
    ],
    ...reach,
    run: register,
  },
];

const definingFlags = ["address", "id", "kind", "meta", "name", "port", "socket", "tag"];

async function register({ args, flags, api, terminal }: CommandContext): Promise<number> {
  if (args.length > 0 && definingFlags.some((name) => flags.has(name))) {
    throw new CommandFailure("Service registration requires arguments or -id, not both.");
  }
  if (args.length === 0 && !definingFlags.some((name) => flags.has(name))) {
    throw new CommandFailure("Service registration requires at least one argument or flags.");
  }
  const bodies = args.length > 0
    ? readFiles(args).map(registrationOf)
    : [registrationOfFlags(flags)];
  const agent = api();
  for (const body of bodies) {
    const { Name } = body;
    await ask(
      `Error registering service ${JSON.stringify(Name)}`,
      agent.call("PUT", "/v1/agent/service/register", { body }),
    );
    terminal.out(`Registered service: ${Name}\n`);
  }
  return 0;
}

interface Registration {
  Name: string;
  [member: string]: unknown;
}

function registrationOfFlags(flags: CommandContext["flags"]): Registration {
  const port = flags.int("port");
  const tagged = Object.entries(keyValues(flags.strings("tagged-address")));
  return {
    ...optional("Kind", flags.string("kind")),
    ...optional("ID", flags.string("id")),
    Name: flags.string("name"),
    ...optional("Address", flags.string("address")),
    ...(port === 0 ? {} : { Port: port }),
    ...optional("SocketPath", flags.string("socket")),
    ...(flags.has("tag") ? { Tags: flags.strings("tag") } : {}),
    ...(flags.has("meta") ? { Meta: keyValues(flags.strings("meta")) } : {}),
    ...(tagged.length === 0 ? {} : {
      TaggedAddresses: Object.fromEntries(
        tagged.map(([tag, text]) => [tag, splitAddress(text, port)]),
      ),
    }),
  };
}

function splitAddress(text: string, port: number): { Address: string; Port: number } {
  const match = /^\[?(.*?)\]?:(\d+)$/.exec(text);
  return match === null
    ? { Address: text, Port: port }
    : { Address: match[1]!, Port: Number(match[2]) };
}

/** A definition of a file as the body of a registration. */
function registrationOf(service: ServiceDefinition): Registration {
  const tagged = Object.entries(service.taggedAddresses).map(([tag, { address, port }]) =>
    [tag, { Address: address, Port: port }] as const
  );
  return {
    ...optional("Kind", service.kind),
    ...(service.id === service.name ? {} : { ID: service.id }),
    Name: service.name,
    ...(service.tags.length === 0 ? {} : { Tags: service.tags }),
    ...optional("Address", service.address),
    ...(service.port === 0 ? {} : { Port: service.port }),
    ...optional("SocketPath", service.socketPath),
    ...(tagged.length === 0 ? {} : { TaggedAddresses: Object.fromEntries(tagged) }),
    ...(Object.keys(service.meta).length === 0 ? {} : { Meta: service.meta }),
    Weights: { Passing: service.weights.passing, Warning: service.weights.warning },
    ...(service.enableTagOverride ? { EnableTagOverride: true } : {}),
    ...optional("Token", service.token),
    ...(service.locality === null
      ? {}
      : { Locality: { Region: service.locality.region, Zone: service.locality.zone } }),
    ...(service.proxy === null ? {} : { Proxy: service.proxy }),
    ...(service.connect === null ? {} : {
      Connect: {
        Native: service.connect.native,
        ...(service.connect.sidecarService === null
          ? {}
          : { SidecarService: service.connect.sidecarService }),
      },
    }),
    ...(service.checks.length === 0 ? {} : { Checks: service.checks.map(checkBody) }),
  };
}

function checkBody(check: CheckDefinition): Record<string, unknown> {
  const duration = (name: string, ms: number) =>
    optional(name, ms === 0 ? "" : formatDurationMs(ms));
  return {
    ...optional("CheckID", check.id),
    ...optional("Name", check.name),
    ...optional("Notes", check.notes),
    ...optional("Status", check.status),
    ...(check.args.length === 0 ? {} : { ScriptArgs: check.args }),
    ...optional("HTTP", check.http),
    ...optional("Method", check.method),
    ...(Object.keys(check.header).length === 0 ? {} : { Header: check.header }),
    ...optional("Body", check.body),
    ...set("DisableRedirects", check.disableRedirects),
    ...optional("TCP", check.tcp),
    ...set("TCPUseTLS", check.tcpUseTls),
    ...optional("UDP", check.udp),
    ...optional("GRPC", check.grpc),
    ...set("GRPCUseTLS", check.grpcUseTls),
    ...optional("H2PING", check.h2ping),
    ...(check.h2ping === "" ? {} : { H2PingUseTLS: check.h2pingUseTls }),
    ...optional("DockerContainerID", check.dockerContainerId),
    ...optional("Shell", check.shell),
    ...optional("AliasService", check.aliasService),
    ...optional("AliasNode", check.aliasNode),
    ...optional("OSService", check.osService),
    ...optional("TLSServerName", check.tlsServerName),
    ...set("TLSSkipVerify", check.tlsSkipVerify),
    ...duration("Interval", check.intervalMs),
    ...duration("Timeout", check.timeoutMs),
    ...duration("TTL", check.ttlMs),
    ...duration("DeregisterCriticalServiceAfter", check.deregisterCriticalServiceAfterMs),
    ...count("OutputMaxSize", check.outputMaxSize),
    ...count("SuccessBeforePassing", check.successBeforePassing),
    ...count("FailuresBeforeWarning", check.failuresBeforeWarning),
    ...count("FailuresBeforeCritical", check.failuresBeforeCritical),
  };
}

function optional(name: string, text: string): Record<string, string> {
  return text === "" ? {} : { [name]: text };
}

function set(name: string, value: boolean): Record<string, boolean> {
  return value ? { [name]: true } : {};
}

function count(name: string, value: number): Record<string, number> {
  return value === 0 ? {} : { [name]: value };
}

function readFiles(paths: readonly string[]): ServiceDefinition[] {
  const flags = parseAgentFlags(paths.flatMap((path) => ["-config-file", path]));
  try {
    return readServiceFiles(flags);
  } catch (error) {
    if (!(error instanceof ConfigRefusal)) throw error;
    throw new CommandFailure(`Error: ${error.message}`);
  }
}

async function deregister({ args, flags, api, terminal }: CommandContext): Promise<number> {
  const id = flags.string("id");
  if (args.length === 0 && id === "") {
    throw new CommandFailure("Service deregistration requires at least one argument or -id.");
  }
  if (args.length > 0 && id !== "") {
    throw new CommandFailure("Service deregistration requires arguments or -id, not both.");
  }
  const services = args.length > 0 ? readFiles(args) : [{ id, name: "" }];
  const agent = api();
  for (const service of services) {
    await ask(
      `Error deregistering service ${JSON.stringify(service.name)}`,
      agent.call("PUT", `/v1/agent/service/deregister/${pathEscape(service.id)}`),
    );
    terminal.out(`Deregistered service: ${service.id}\n`);
  }
  return 0;
}

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
