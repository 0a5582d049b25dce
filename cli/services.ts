// `services`: registers and deregisters with the local agent.

import { parseAgentFlags } from "#shared/config/agent-flags.ts";
import type { ServiceDefinition } from "#shared/config/definitions.ts";
import { readServiceFiles } from "#shared/config/load.ts";
import { ConfigRefusal } from "#shared/config/source.ts";
import { pathEscape } from "./api.ts";
import type { Command, CommandContext } from "./command.ts";
import { flag } from "./flags.ts";
import { ask, CommandFailure } from "./refusal.ts";
import { registrationOf, registrationOfFlags } from "./registration.ts";
import { exportCommand } from "./service-export.ts";

const reach = { isClient: true, isServerCall: true, hasTenancy: true };

export const commands: readonly Command[] = [
  exportCommand,
  {
    path: "services deregister",
    summary: "Deregister services with the local agent",
    usage: "[options] [FILE...]",
    flags: [flag("id", "string", "ID to delete. This must not be set if arguments are given.")],
    ...reach,
    run: deregister,
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
