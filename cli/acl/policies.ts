// `acl policy`: named sets of rules.

import { pathEscape } from "../api.ts";
import type { Command, CommandContext } from "../command.ts";
import { readData } from "../argument-text.ts";
import { flag } from "../flags.ts";
import { ask, CommandFailure } from "../refusal.ts";
import { listing, reach, readByPrefix, requireName, show, shown } from "./kinds.ts";
import type { Kind } from "./kinds.ts";
import { formatPolicy, formatPolicyListing } from "./rows.ts";
import type { Policy } from "./rows.ts";

const policies: Kind<Policy> = {
  noun: "policy",
  plural: "policy",
  list: "/v1/acl/policies",
  one: "/v1/acl/policy",
  formatList: formatPolicyListing,
};
export const policyCommands: readonly Command[] = [
  listing("policy", policies),
  {
    path: "acl policy create",
    summary: "Create an ACL policy",
    usage: "-name NAME [options]",
    flags: [
      ...shown,
      flag("description", "string", "A description of the policy."),
      flag("name", "string", "The new policy's name. This flag is required."),
      flag("rules", "string", "The rules; @FILE reads a file, - standard input."),
      flag("valid-datacenter", "strings", "Datacenter that the policy is valid in."),
    ],
    ...reach,
    run: createPolicy,
  },
  {
    path: "acl policy read",
    summary: "Read an ACL policy",
    usage: "[options]",
    flags: [
      ...shown,
      flag("id", "string", "The ID of the policy, or a prefix of it."),
      flag("name", "string", "The name of the policy."),
    ],
    ...reach,
    run: readPolicy,
  },
  {
    path: "acl policy delete",
    summary: "Delete an ACL policy",
    usage: "[options]",
    flags: [
      flag("id", "string", "The ID of the policy, or a prefix of it."),
      flag("name", "string", "The name of the policy."),
    ],
    ...reach,
    run: deletePolicy,
  },
];

async function createPolicy(context: CommandContext): Promise<number> {
  const { flags, terminal, api } = context;
  const Name = requireName(context);
  const rules = flags.string("rules");
  const Rules = new TextDecoder().decode(
    await readData(rules, terminal, "Error loading rules: Failed to read"),
  );
  const policy = await ask(
    "Failed to create new policy",
    api().json<Policy>("PUT", policies.one, {
      body: {
        Name,
        Description: flags.string("description"),
        Datacenters: flags.strings("valid-datacenter"),
        Rules,
      },
    }),
  );
  return show(context, policy, formatPolicy);
}

/** The policy by its name or its id. */
async function findPolicy({ flags, api }: CommandContext): Promise<Policy> {
  const id = flags.string("id");
  const name = flags.string("name");
  if (id === "" && name === "") {
    throw new CommandFailure("Must specify either the -id or -name parameters");
  }
  const prefix = "Error reading policy";
  return id === ""
    ? await ask(prefix, api().json<Policy>("GET", `/v1/acl/policy/name/${pathEscape(name)}`))
    : await ask(prefix, readByPrefix<Policy>(api(), policies, id, "ID"));
}

async function readPolicy(context: CommandContext): Promise<number> {
  return show(context, await findPolicy(context), formatPolicy);
}

async function deletePolicy(context: CommandContext): Promise<number> {
  const { ID } = await findPolicy(context);
  const quoted = JSON.stringify(ID);
  await ask(
    `Error deleting policy ${quoted}`,
    context.api().call("DELETE", `${policies.one}/${ID}`),
  );
  context.terminal.out(`Policy ${quoted} deleted successfully\n`);
  return 0;
}
