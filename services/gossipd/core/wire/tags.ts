// A member's tags, as Serf keeps them in memberlist's Meta.
import { Reader, WireError } from "./reader.ts";
import { mapOf, text } from "./schema.ts";
import { Writer } from "./writer.ts";

export type Tags = ReadonlyMap<string, string>;

const magic = 0xff;
export const metaBytesMax = 512;
const tagMap = mapOf(text);

/** Sorted, so that equal tags are equal bytes. */
export function encodeTags(tags: Tags): Uint8Array {
  const writer = new Writer();
  writer.byte(magic);
  const names = [...tags.keys()].sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
  tagMap.write(writer, new Map(names.map((name) => [name, tags.get(name)!])));
  return writer.finish();
}

/** Meta without the magic byte is a role, from before tags; what cannot be read has no tags. */
export function decodeTags(meta: Uint8Array | null): Map<string, string> {
  if (meta === null || meta[0] !== magic) {
    return new Map([["role", new TextDecoder().decode(meta ?? new Uint8Array())]]);
  }
  try {
    return tagMap.read(new Reader(meta, 1)) ?? new Map();
  } catch (error) {
    if (error instanceof WireError) return new Map();
    throw error;
  }
}
