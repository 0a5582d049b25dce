// The CA as it is read from the state, and its parts as they are written back.

import type { CommandInput } from "#proto/messages.js";
import { CuriaError } from "#shared/errors.ts";
import type { CaConfigBody, CaSettings } from "../core/ca-config.ts";
import type { CaRoot, KeptRoot } from "../core/roots.ts";
import { type Row, setCommand } from "./documents.ts";
import type { ProviderState } from "./root-maker.ts";

export interface Ca {
  config: Row<CaConfigBody>;
  settings: CaSettings;
  roots: KeptRoot[];
  providers: Row<ProviderState>[];
}

export function keyOf(ca: Ca, root: CaRoot): string {
  const state = ca.providers.find(({ body }) => body.RootCert?.trim() === root.RootCert.trim());
  if (state === undefined || !state.body.PrivateKey) {
    throw new CuriaError("internal", `the private key of root ${root.ID} is not in the state`);
  }
  return state.body.PrivateKey;
}

export function saveState({ PrivateKey, ...open }: ProviderState): CommandInput {
  return setCommand("ca-provider-state", open.ID, open, { PrivateKey });
}

/** A key that the operator gave is a secret of the configuration. */
export function splitConfig(body: CaConfigBody): [object, object] {
  return body.Config.PrivateKey ? [{ ...body, Config: {} }, { Config: body.Config }] : [body, {}];
}
