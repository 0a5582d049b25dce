// What the commands about ACL objects share: listing, showing, finding, linking.

import type { ApiClient, Query } from "../api.ts";
import type { Command, CommandContext } from "../command.ts";
import { flag } from "../flags.ts";
import type { Flags } from "../flags.ts";
import { commandHelp } from "../help.ts";
import { ask, CommandFailure } from "../refusal.ts";

export const formatFlag = flag("format", "string", "Output format {pretty|json}");
export const metaFlag = flag("meta", "bool", "Also show hash and indexes.");
export const shown = [formatFlag, metaFlag];
export const reach = { isClient: true, isServerCall: true, hasTenancy: true };
export const linkFlags = [
  flag("node-identity", "strings", "Node identity NODENAME:DATACENTER to link."),
  flag("policy-id", "strings", "ID of a policy to link."),
  flag("policy-name", "strings", "Name of a policy to link."),
  flag("service-identity", "strings", "Service identity NAME[:DC,DC] to link."),
];
export interface Kind<Item> {
  /** Words in messages. */
  noun: string;
  plural: string;
  list: string;
  one: string;
  formatList(items: Item[], hasMeta: boolean): string;
}

export function listing<Item>(word: string, kind: Kind<Item>): Command {
  return {
    path: `acl ${word} list`,
    summary: `Lists ACL ${kind.noun}s`,
    usage: "[options]",
    flags: shown,
    ...reach,
    async run({ flags, api, terminal }) {
      const items = await ask(
        `Failed to retrieve the ${kind.plural} list`,
        api().json<Item[]>("GET", kind.list),
      );
      const text = isJson(flags)
        ? `${JSON.stringify(items, null, 4)}\n`
        : kind.formatList(items, flags.bool("meta"));
      terminal.out(text);
      return 0;
    },
  };
}

export function isJson(flags: Flags): boolean {
  const format = flags.string("format", "pretty");
  if (format !== "pretty" && format !== "json") {
    throw new CommandFailure(`Invalid format: ${format} - must be one of [json pretty]`);
  }
  return format === "json";
}

export function show<Item>(
  { flags, terminal }: CommandContext,
  item: Item,
  format: (item: Item, hasMeta: boolean) => string,
): number {
  terminal.out(
    isJson(flags) ? `${JSON.stringify(item, null, 4)}\n` : format(item, flags.bool("meta")),
  );
  return 0;
}

export function requireName({ command, flags, program }: CommandContext): string {
  const name = flags.string("name");
  if (name === "") {
    throw new CommandFailure(
      `Missing required '-name' flag\n${commandHelp(program, command).trimEnd()}`,
    );
  }
  return name;
}

/** A part of an id stands for the only object whose id begins so. */
export async function readByPrefix<Item>(
  agent: ApiClient,
  kind: Kind<Item>,
  id: string,
  member: string,
  query: Query = {},
): Promise<Item> {
  const isWhole = id.length === 36;
  let whole = id;
  if (!isWhole) {
    const items = await agent.json<Record<string, string>[]>("GET", kind.list);
    const found = items.filter((item) => item[member]!.startsWith(id));
    if (found.length !== 1) {
      throw new CommandFailure(
        found.length === 0
          ? `No such ${kind.noun} ID with prefix: ${id}`
          : `Error determining ${kind.noun} ID: more than one begins with ${id}`,
      );
    }
    whole = found[0]![member]!;
  }
  return await agent.json<Item>("GET", `${kind.one}/${whole}`, { query });
}

export function links(flags: Flags, noun: string): { ID?: string; Name?: string }[] {
  return [
    ...flags.strings(`${noun}-id`).map((ID) => ({ ID })),
    ...flags.strings(`${noun}-name`).map((Name) => ({ Name })),
  ];
}

export function identities(flags: Flags) {
  return {
    ServiceIdentities: flags.strings("service-identity").map((text) => {
      const [ServiceName, datacenters] = text.split(":") as [string, string | undefined];
      return { ServiceName, ...(datacenters ? { Datacenters: datacenters.split(",") } : {}) };
    }),
    NodeIdentities: flags.strings("node-identity").map((text) => {
      const [NodeName, Datacenter] = text.split(":");
      return { NodeName, Datacenter };
    }),
  };
}
