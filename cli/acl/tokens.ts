// `acl token`: what a caller presents.

import type { Query } from "../api.ts";
import type { Command, CommandContext } from "../command.ts";
import { flag } from "../flags.ts";
import { ask, CommandFailure } from "../refusal.ts";
import {
  identities,
  linkFlags,
  links,
  listing,
  reach,
  readByPrefix,
  show,
  shown,
} from "./kinds.ts";
import type { Kind } from "./kinds.ts";
import { formatToken } from "./rows.ts";
import type { Token } from "./rows.ts";

const templateFlags = ["templated-policy", "templated-policy-file"];
const tokens: Kind<Token> = {
  noun: "token",
  plural: "token",
  list: "/v1/acl/tokens",
  one: "/v1/acl/token",
  formatList: (items, hasMeta) => items.map((token) => formatToken(token, hasMeta)).join("\n"),
};
export const tokenCommands: readonly Command[] = [
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
];

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
