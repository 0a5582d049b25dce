// Which keys the pool's traffic may be under; the first is the one we encrypt with.
// Keyring file: a JSON array of base64 keys (Serf's and Consul's format).
import { sameBytes } from "./wire/packet.ts";

export const keyLengths = [16, 24, 32];

export class Keyring {
  #keys: Uint8Array[] = [];

  constructor(keys: readonly Uint8Array[]) {
    for (const key of keys) this.install(key);
  }

  /** Primary first. */
  get keys(): readonly Uint8Array[] {
    return this.#keys;
  }

  get primary(): Uint8Array | undefined {
    return this.#keys[0];
  }

  /** Returns why the key is refused. Installing a known key changes nothing. */
  install(key: Uint8Array): string | undefined {
    if (!keyLengths.includes(key.length)) return "key size must be 16, 24 or 32 bytes";
    if (!this.#has(key)) this.#keys.push(key);
    return undefined;
  }

  use(key: Uint8Array): string | undefined {
    if (!this.#has(key)) return "requested key is not in the keyring";
    this.#keys = [key, ...this.#keys.filter((known) => !sameBytes(known, key))];
    return undefined;
  }

  remove(key: Uint8Array): string | undefined {
    if (this.primary && sameBytes(key, this.primary)) {
      return "removing the primary key is not allowed";
    }
    this.#keys = this.#keys.filter((known) => !sameBytes(known, key));
    return undefined;
  }

  #has(key: Uint8Array): boolean {
    return this.#keys.some((known) => sameBytes(known, key));
  }
}

export function formatKeyring(keyring: Pick<Keyring, "keys">): string {
  return JSON.stringify(keyring.keys.map((key) => key.toBase64()), null, 2);
}

/** The keys, or why the text is not a keyring. */
export function parseKeyring(text: string): Uint8Array[] | string {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (error) {
    return `expected a JSON array of base64 keys: ${(error as Error).message}`;
  }
  if (!Array.isArray(list) || list.length === 0) return "expected a JSON array of base64 keys";
  const keys: Uint8Array[] = [];
  for (const entry of list) {
    const key = typeof entry === "string" ? parseKey(entry) : "expected base64 text";
    if (typeof key === "string") return key;
    keys.push(key);
  }
  return keys;
}

export function parseKey(base64: string): Uint8Array | string {
  let key: Uint8Array;
  try {
    key = Uint8Array.fromBase64(base64.trim());
  } catch {
    return "a gossip key must be base64";
  }
  if (keyLengths.includes(key.length)) return key;
  return `a gossip key must be 16, 24 or 32 bytes long, but this one has ${key.length}`;
}
