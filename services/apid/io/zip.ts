// Compresses bodies: small ones at once, large ones off the event loop and once for all who ask.

import { constants, gzip } from "node:zlib";

/** From here on a body is worth a thread of its own. */
export const largeBytes = 64 << 10;

const zipped = new WeakMap<Uint8Array, Promise<Uint8Array>>();

export function zip(body: string | Uint8Array): Uint8Array | Promise<Uint8Array> {
  const bytes = typeof body === "string"
    ? Buffer.from(body)
    : Buffer.from(body.buffer, body.byteOffset, body.length);
  if (bytes.length < largeBytes) return Bun.gzipSync(bytes as Buffer<ArrayBuffer>);
  if (typeof body === "string") return zipLarge(bytes);
  let made = zipped.get(body);
  if (made === undefined) {
    made = zipLarge(bytes);
    zipped.set(body, made);
  }
  return made;
}

function zipLarge(bytes: Buffer): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    gzip(
      bytes,
      { level: constants.Z_BEST_SPEED },
      (error, result) => error === null ? resolve(result) : reject(error),
    );
  });
}
