// The keyring on disk: read at the start, seeded from `encrypt` when it is not there, rewritten after
// each change.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { CuriaError } from "#shared/errors.ts";
import { replaceSynced } from "#shared/synced-file.ts";
import { formatKeyring, Keyring, parseKey, parseKeyring } from "../core/keyring.ts";

/** Undefined: gossip is not encrypted. `path` undefined: the keys live in memory only. */
export function loadKeyring(path: string | undefined, encrypt: string): Keyring | undefined {
  if (path !== undefined && existsSync(path)) {
    const keys = parseKeyring(readFileSync(path, "utf8"));
    if (typeof keys === "string") {
      throw new CuriaError("invalid-argument", `the keyring file ${path} is not valid: ${keys}`);
    }
    return new Keyring(keys);
  }
  if (encrypt === "") return undefined;
  const key = parseKey(encrypt);
  if (typeof key === "string") throw new CuriaError("invalid-argument", `encrypt: ${key}`);
  const keyring = new Keyring([key]);
  if (path !== undefined) saveKeyring(path, keyring);
  return keyring;
}

export function saveKeyring(path: string, keyring: Keyring): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  replaceSynced(path, formatKeyring(keyring), 0o600);
}
