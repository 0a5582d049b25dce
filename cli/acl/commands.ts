// `acl`: bootstrap, the agent's tokens, roles, auth methods, binding rules, templates; policies and
// tokens have files of their own.

import { existsSync, readFileSync } from "node:fs";
import type { Command, CommandContext } from "../command.ts";
import { readData } from "../argument-text.ts";
import { flag } from "../flags.ts";
import { ask, CommandFailure } from "../refusal.ts";
import {
  formatFlag,
  identities,
  linkFlags,
  links,
  listing,
  reach,
  requireName,
  show,
  shown,
} from "./kinds.ts";
import type { Kind } from "./kinds.ts";
import { policyCommands } from "./policies.ts";
import { formatNamed, formatRole, formatRoleListing, formatToken } from "./rows.ts";
import type { Role, Token } from "./rows.ts";
import { tokenCommands } from "./tokens.ts";

const tokenTypes = [
  "default",
  "agent",
  "agent_recovery",
  "replication",
  "config_file_service_registration",
  "dns",
];

const roles: Kind<Role> = {
  noun: "role",
  plural: "role",
  list: "/v1/acl/roles",
  one: "/v1/acl/role",
  formatList: formatRoleListing,
};
const authMethods: Kind<Record<string, unknown>> = {
  noun: "auth method",
  plural: "auth method",
  list: "/v1/acl/auth-methods",
  one: "/v1/acl/auth-method",
  formatList: (items) => formatNamed(items, "Name"),
};
const bindingRules: Kind<Record<string, unknown>> = {
  noun: "binding rule",
  plural: "binding rule",
  list: "/v1/acl/binding-rules",
  one: "/v1/acl/binding-rule",
  formatList: (items) => formatNamed(items, "ID"),
};

export const commands: readonly Command[] = [
  ...policyCommands,
  ...tokenCommands,
  listing("role", roles),
  {
    path: "acl role create",
    summary: "Create an ACL role",
    usage: "-name NAME [options]",
    flags: [
      ...shown,
      ...linkFlags,
      flag("description", "string", "A description of the role."),
      flag("name", "string", "The new role's name. This flag is required."),
    ],
    ...reach,
    run: createRole,
  },
  {
    path: "acl bootstrap",
    summary: "Bootstrap Consul's ACL system",
    usage: "[options] [FILE|-]",
    flags: [formatFlag],
    ...reach,
    run: bootstrap,
  },
  {
    path: "acl set-agent-token",
    summary: "Assign tokens for the Consul Agent's usage",
    usage: "[options] TYPE TOKEN",
    ...reach,
    run: setAgentToken,
  },
  listing("auth-method", authMethods),
  listing("binding-rule", bindingRules),
  {
    path: "acl templated-policy list",
    summary: "Lists ACL templated policies",
    usage: "[options]",
    flags: [formatFlag],
    ...reach,
    async run({ api, terminal }) {
      const found = await ask(
        "Failed to retrieve the templated policies list",
        api().json<Record<string, unknown>>("GET", "/v1/acl/templated-policies"),
      );
      for (const name of Object.keys(found).sort()) terminal.out(`${name}\n`);
      return 0;
    },
  },
];

async function bootstrap(context: CommandContext): Promise<number> {
  const [source] = context.args;
  const secret = source === undefined
    ? ""
    : source === "-"
    ? new TextDecoder().decode(await context.terminal.stdin()).trim()
    : existsSync(source)
    ? readFileSync(source, "utf8").trim()
    : source;
  const token = await ask(
    "Failed ACL bootstrapping",
    context.api().json<Token>("PUT", "/v1/acl/bootstrap", {
      ...(secret === "" ? {} : { body: { BootstrapSecret: secret } }),
    }),
  );
  return show(context, token, formatToken);
}

async function setAgentToken({ args, api, terminal }: CommandContext): Promise<number> {
  const [type, word] = args;
  if (type === undefined || word === undefined) {
    throw new CommandFailure("Error! Missing TYPE and TOKEN arguments");
  }
  if (!tokenTypes.includes(type)) throw new CommandFailure("Unknown token type");
  const Token = new TextDecoder().decode(
    await readData(word, terminal, "Error! Failed to read"),
  );
  const quoted = JSON.stringify(type);
  await ask(
    `Failed to set ACL token ${quoted}`,
    api().call("PUT", `/v1/agent/token/${type}`, { body: { Token } }),
  );
  terminal.out(`ACL token ${quoted} set successfully\n`);
  return 0;
}

async function createRole(context: CommandContext): Promise<number> {
  const { flags, api } = context;
  const Name = requireName(context);
  const role = await ask(
    "Failed to create new role",
    api().json<Role>("PUT", roles.one, {
      body: {
        Name,
        Description: flags.string("description"),
        Policies: links(flags, "policy"),
        ...identities(flags),
      },
    }),
  );
  return show(context, role, formatRole);
}
