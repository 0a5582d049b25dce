// Seals and opens gossip with AES-GCM: version, 12 bytes of nonce, ciphertext, 16 bytes of tag.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Keyring } from "../core/keyring.ts";
import type { Sealer } from "../core/wire/packet.ts";

/** 1 seals as it is; 0, of memberlist's protocol 1, pads to whole blocks before. */
export type EncryptionVersion = 0 | 1;

const nonceBytes = 12;
const tagBytes = 16;
const blockBytes = 16;
const overhead = 1 + nonceBytes + tagBytes;

type GcmName = "aes-128-gcm" | "aes-192-gcm" | "aes-256-gcm";

export class Cipher implements Sealer {
  readonly #keyring: Pick<Keyring, "keys">;
  readonly #version: EncryptionVersion;
  readonly #nonce: () => Uint8Array;

  constructor(
    keyring: Pick<Keyring, "keys">,
    version: EncryptionVersion = 1,
    nonce: () => Uint8Array = () => randomBytes(nonceBytes),
  ) {
    this.#keyring = keyring;
    this.#version = version;
    this.#nonce = nonce;
  }

  seal(plain: Uint8Array, associated: Uint8Array): Uint8Array {
    const key = this.#keyring.keys[0]!;
    const nonce = this.#nonce();
    const cipher = createCipheriv(algorithm(key), key, nonce);
    cipher.setAAD(associated);
    const body = cipher.update(this.#version === 0 ? padded(plain) : plain);
    cipher.final();
    const sealed = new Uint8Array(overhead + body.length);
    sealed[0] = this.#version;
    sealed.set(nonce, 1);
    sealed.set(body, 1 + nonceBytes);
    sealed.set(cipher.getAuthTag(), 1 + nonceBytes + body.length);
    return sealed;
  }

  sealedLength(plainLength: number): number {
    if (this.#version === 1) return overhead + plainLength;
    return overhead + (Math.floor(plainLength / blockBytes) + 1) * blockBytes;
  }

  open(sealed: Uint8Array, associated: Uint8Array): Uint8Array | undefined {
    const version = sealed[0];
    if (sealed.length < overhead || version === undefined || version > 1) return undefined;
    for (const key of this.#keyring.keys) {
      const plain = openWith(key, sealed, associated);
      if (plain) return version === 0 ? unpadded(plain) : plain;
    }
    return undefined;
  }
}

function openWith(key: Uint8Array, sealed: Uint8Array, associated: Uint8Array) {
  const decipher = createDecipheriv(algorithm(key), key, sealed.subarray(1, 1 + nonceBytes));
  decipher.setAAD(associated);
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  const plain = decipher.update(sealed.subarray(1 + nonceBytes, sealed.length - tagBytes));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return new Uint8Array(plain.buffer, plain.byteOffset, plain.length);
}

function algorithm(key: Uint8Array): GcmName {
  return `aes-${key.length * 8}-gcm` as GcmName;
}

function padded(plain: Uint8Array): Uint8Array {
  const extra = blockBytes - plain.length % blockBytes;
  const whole = new Uint8Array(plain.length + extra).fill(extra);
  whole.set(plain);
  return whole;
}

function unpadded(plain: Uint8Array): Uint8Array | undefined {
  const extra = plain[plain.length - 1];
  if (extra === undefined || extra === 0 || extra > blockBytes) return undefined;
  return plain.subarray(0, plain.length - extra);
}
