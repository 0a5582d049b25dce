// `login` and `logout`: a token for a secret of another system, and its end.

import { readFileSync, writeFileSync } from "node:fs";
import type { Command, CommandContext } from "../command.ts";
import { flag, keyValues } from "../flags.ts";
import { goOpenError } from "../go-errors.ts";
import { ask, CommandFailure } from "../refusal.ts";
import { reach } from "./kinds.ts";
import type { Token } from "./rows.ts";

export const commands: readonly Command[] = [
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
