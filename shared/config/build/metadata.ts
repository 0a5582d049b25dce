// Rules of node and service metadata, in Consul's words.

const pairsMax = 64;
const keyLengthMax = 128;
const valueLengthMax = 512;
const reservedPrefix = "consul-";

/** The first complaint, or undefined. Lengths are in bytes. */
export function refuseMetadata(meta: Readonly<Record<string, string>>): string | undefined {
  const pairs = Object.entries(meta);
  if (pairs.length > pairsMax) {
    return `Node metadata cannot contain more than ${pairsMax} key/value pairs`;
  }
  for (const [key, value] of pairs) {
    const complaint = refusePair(key, value);
    if (complaint !== undefined) {
      return `Couldn't load metadata pair ('${key}', '${value}'): ${complaint}`;
    }
  }
  return undefined;
}

function refusePair(key: string, value: string): string | undefined {
  if (key === "") return "Key cannot be blank";
  if (!/^[A-Za-z0-9_-]+$/.test(key)) return "Key contains invalid characters";
  if (Buffer.byteLength(key) > keyLengthMax) {
    return `Key is too long (limit: ${keyLengthMax} characters)`;
  }
  if (key.startsWith(reservedPrefix)) {
    return `Key prefix '${reservedPrefix}' is reserved for internal use`;
  }
  if (Buffer.byteLength(value) > valueLengthMax) {
    return `Value is too long (limit: ${valueLengthMax} characters)`;
  }
  return undefined;
}
