// `acl`, `login`, `logout`: tokens, policies, roles and how they come about.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { goOpenError, pathEscape } from "../api.ts";
import type { ApiClient, Query } from "../api.ts";
import type { Command, CommandContext } from "../command.ts";
import { flag, keyValues } from "../flags.ts";
import { commandHelp } from "../help.ts";
import { readData } from "../kv.ts";
import { ask, CommandFailure } from "../refusal.ts";
import {
  formatNamed,
  formatPolicy,
  formatPolicyListing,
  formatRole,
  formatRoleListing,
  formatToken,
} from "./rows.ts";
import type { Policy, Role, Token } from "./rows.ts";

const formatFlag = flag("format", "string", "Output format {pretty|json}");
const metaFlag = flag("meta", "bool", "Also show hash and indexes.");
const shown = [formatFlag, metaFlag];
const reach = { isClient: true, isServerCall: true, hasTenancy: true };
const linkFlags = [
  flag("node-identity", "strings", "Node identity NODENAME:DATACENTER to link."),
  flag("policy-id", "strings", "ID of a policy to link."),
  flag("policy-name", "strings", "Name of a policy to link."),
  flag("service-identity", "strings", "Service identity NAME[:DC,DC] to link."),
];
const templateFlags = ["templated-policy", "templated-policy-file"];
const tokenTypes = [
  "default",
  "agent",
  "agent_recovery",
  "replication",
  "config_file_service_registration",
  "dns",
];

interface Kind<Item> {
  /** Words in messages. */
  noun: string;
  plural: string;
  list: string;
  one: string;
  formatList(items: Item[], hasMeta: boolean): string;
}

const tokens: Kind<Token> = {
  noun: "token",
  plural: "token",
  list: "/v1/acl/tokens",
  one: "/v1/acl/token",
  formatList: (items, hasMeta) => items.map((token) => formatToken(token, hasMeta)).join("\n"),
};
const policies: Kind<Policy> = {
  noun: "policy",
  plural: "policy",
  list: "/v1/acl/policies",
  one: "/v1/acl/policy",
  formatList: formatPolicyListing,
};
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

function listing<Item>(word: string, kind: Kind<Item>): Command {
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

export const commands: readonly Command[] = [
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
  listing("auth-method", authMethods),
  listing("binding-rule", bindingRules),
  listing("token", tokens),
  {
    path: "acl token create",
    summary: "Create an ACL token",
    usage: "[options]",
    flags: [
      ...shown,
      ...linkFlags,
      flag("accessor", "string", "Accessor ID of the new token."),
      flag("description", "string", "A description of the token."),
      flag("expires-ttl", "duration", "How long the token is valid."),
      flag("local", "bool", "Create this as a datacenter local token."),
      flag("role-id", "strings", "ID of a role to link."),
      flag("role-name", "strings", "Name of a role to link."),
      flag("secret", "string", "Secret ID of the new token."),
      ...templateFlags.map((name) => flag(name, "strings", "A templated policy.")),
    ],
    ...reach,
    run: createToken,
  },
  {
    path: "acl token read",
    summary: "Read an ACL token",
    usage: "[options]",
    flags: [
      ...shown,
      flag("accessor-id", "string", "The accessor ID of the token, or a prefix of it."),
      flag("expanded", "bool", "Also show what the token's links contain."),
      flag("self", "bool", "The token that this command uses."),
    ],
    ...reach,
    run: readToken,
  },
  {
    path: "acl token delete",
    summary: "Delete an ACL token",
    usage: "[options]",
    flags: [flag("accessor-id", "string", "The accessor ID of the token, or a prefix of it.")],
    ...reach,
    run: deleteToken,
  },
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
  {
    path: "login",
    summary: "Login to Consul using an auth method",
    usage: "[options]",
    flags: [
      flag("bearer-token-file", "string", "Path to a file with the secret to log in with."),
      flag("meta", "strings", "Metadata of the token, `key=value`."),
      flag("method", "string", "Name of the auth method. This flag is required."),
      flag("token-sink-file", "string", "The new token goes into this file."),
      flag("type", "string", "Type of the auth method."),
    ],
    ...reach,
    run: login,
  },
  {
    path: "logout",
    summary: "Destroy a Consul token created with login",
    usage: "[options]",
    ...reach,
    async run({ api }) {
      await ask("Error destroying token", api().call("POST", "/v1/acl/logout"));
      return 0;
    },
  },
];

function isJson(flags: CommandContext["flags"]): boolean {
  const format = flags.string("format", "pretty");
  if (format !== "pretty" && format !== "json") {
    throw new CommandFailure(`Invalid format: ${format} - must be one of [json pretty]`);
  }
  return format === "json";
}

function show<Item>(
  { flags, terminal }: CommandContext,
  item: Item,
  format: (item: Item, hasMeta: boolean) => string,
): number {
  terminal.out(
    isJson(flags) ? `${JSON.stringify(item, null, 4)}\n` : format(item, flags.bool("meta")),
  );
  return 0;
}

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

function requireName({ command, flags, program }: CommandContext): string {
  const name = flags.string("name");
  if (name === "") {
    throw new CommandFailure(
      `Missing required '-name' flag\n${commandHelp(program, command).trimEnd()}`,
    );
  }
  return name;
}

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

/** A part of an id stands for the only object whose id begins so. */
async function readByPrefix<Item>(
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

function links(flags: CommandContext["flags"], noun: string): { ID?: string; Name?: string }[] {
  return [
    ...flags.strings(`${noun}-id`).map((ID) => ({ ID })),
    ...flags.strings(`${noun}-name`).map((Name) => ({ Name })),
  ];
}

function identities(flags: CommandContext["flags"]) {
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

async function createToken(context: CommandContext): Promise<number> {
  const { flags, api } = context;
  const grants = [...linkFlags.map(({ name }) => name), "role-id", "role-name", ...templateFlags];
  if (!grants.some((name) => flags.has(name))) {
    throw new CommandFailure(
      "Cannot create a token without specifying -policy-name, -policy-id, -role-name, -role-id, " +
        "-service-identity, -node-identity, -templated-policy, or -templated-policy-file at " +
        "least once",
    );
  }
  const token = await ask(
    "Failed to create new token",
    api().json<Token>("PUT", tokens.one, {
      body: {
        ...(flags.has("accessor") ? { AccessorID: flags.string("accessor") } : {}),
        ...(flags.has("secret") ? { SecretID: flags.string("secret") } : {}),
        Description: flags.string("description"),
        Local: flags.bool("local"),
        ...(flags.has("expires-ttl") ? { ExpirationTTL: flags.string("expires-ttl") } : {}),
        Policies: links(flags, "policy"),
        Roles: links(flags, "role"),
        ...identities(flags),
        TemplatedPolicies: flags.strings("templated-policy").map((TemplateName) => ({
          TemplateName,
        })),
      },
    }),
  );
  return show(context, token, formatToken);
}

async function readToken(context: CommandContext): Promise<number> {
  const { flags, api } = context;
  const id = flags.string("accessor-id");
  if (id === "" && !flags.bool("self")) {
    throw new CommandFailure("Must specify the -accessor-id parameter");
  }
  const query: Query = flags.bool("expanded") ? { expanded: "true" } : {};
  const token = await ask(
    "Error reading token",
    flags.bool("self")
      ? api().json<Token>("GET", "/v1/acl/token/self", { query })
      : readByPrefix<Token>(api(), tokens, id, "AccessorID", query),
  );
  return show(context, token, formatToken);
}

async function deleteToken({ flags, api, terminal }: CommandContext): Promise<number> {
  const id = flags.string("accessor-id");
  if (id === "") throw new CommandFailure("Must specify the -accessor-id parameter");
  const prefix = `Error deleting token ${JSON.stringify(id)}`;
  const { AccessorID } = await ask(
    prefix,
    readByPrefix<Token>(api(), tokens, id, "AccessorID"),
  );
  await ask(prefix, api().call("DELETE", `${tokens.one}/${AccessorID}`));
  terminal.out(`Token ${JSON.stringify(AccessorID)} deleted successfully\n`);
  return 0;
}

async function login({ flags, api }: CommandContext): Promise<number> {
  for (const name of ["method", "token-sink-file", "bearer-token-file"]) {
    if (flags.string(name) === "") throw new CommandFailure(`Missing required '-${name}' flag`);
  }
  const path = flags.string("bearer-token-file");
  let BearerToken: string;
  try {
    BearerToken = readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new CommandFailure(goOpenError(path, error));
  }
  if (BearerToken === "") throw new CommandFailure(`No bearer token found in ${path}`);
  const token = await ask(
    "Error logging in",
    api().json<Token>("POST", "/v1/acl/login", {
      body: {
        AuthMethod: flags.string("method"),
        BearerToken,
        ...(flags.has("meta") ? { Meta: keyValues(flags.strings("meta")) } : {}),
      },
    }),
  );
  writeFileSync(flags.string("token-sink-file"), token.SecretID ?? "", { mode: 0o600 });
  return 0;
}
