// The outside of a Consul snapshot: gzip over tar over meta.json, state.bin and SHA256SUMS.
// Everything is checked before anything is used.

import { gunzipSync } from "node:zlib";
import { CuriaError } from "#shared/errors.ts";

export interface ArchiveMeta {
  readonly Version: number;
  readonly ID: string;
  readonly Index: number;
  readonly Term: number;
  readonly Peers: string;
  readonly Configuration: { readonly Servers: readonly ArchiveServer[] };
  readonly ConfigurationIndex: number;
  readonly Size: number;
}

export interface ArchiveServer {
  /** 0 voter, 1 nonvoter, 2 staging. */
  readonly Suffrage: number;
  readonly ID: string;
  readonly Address: string;
}

const block = 512;
/** More than this is not unpacked: a small file may claim to hold terabytes. */
const contentBytesMax = 2 ** 32 - 1;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const members = ["meta.json", "state.bin", "SHA256SUMS"];

/** The verified content; throws with Consul's words for what is wrong. */
export function openArchive(archive: Uint8Array): { meta: ArchiveMeta; state: Uint8Array } {
  const files = readTar(decompress(archive));
  const sums = files.get("SHA256SUMS");
  const listed = new Map(sums === undefined ? [] : parseSums(decoder.decode(sums)));
  for (const name of ["meta.json", "state.bin"]) {
    const content = files.get(name);
    const expected = listed.get(name);
    if (content === undefined || expected === undefined) {
      throw broken(`failed checking integrity of snapshot: file missing for "${name}"`);
    }
    const found = new Bun.CryptoHasher("sha256").update(content).digest("hex");
    if (found !== expected) {
      throw broken(
        `failed checking integrity of snapshot: hash check failed for "${name}": ` +
          `expected ${expected}, found ${found}`,
      );
    }
  }
  const meta = parseMeta(files.get("meta.json")!);
  const state = files.get("state.bin")!;
  if (meta.Size !== state.length) {
    throw broken(`expected ${meta.Size} bytes of state but found ${state.length}`);
  }
  return { meta, state };
}

function decompress(archive: Uint8Array): Uint8Array {
  try {
    return gunzipSync(archive, { maxOutputLength: contentBytesMax });
  } catch (error) {
    const isGzip = archive.length > 1 && archive[0] === 0x1f && archive[1] === 0x8b;
    const cause = isGzip ? (error as Error).message : "gzip: invalid header";
    const reason = archive.length === 0 ? "EOF" : cause;
    throw new CuriaError("invalid-argument", `failed to decompress snapshot: ${reason}`, {
      cause: error,
    });
  }
}

function parseMeta(bytes: Uint8Array): ArchiveMeta {
  let meta: ArchiveMeta;
  try {
    meta = JSON.parse(decoder.decode(bytes));
  } catch (error) {
    throw broken(`failed to decode snapshot metadata: ${(error as Error).message}`);
  }
  if (meta.Version !== 1) throw broken(`unsupported snapshot version ${meta.Version}`);
  return meta;
}

function* parseSums(text: string): Iterable<[string, string]> {
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, sum, name] = /^([0-9a-f]{64}) {2}(\S+)$/.exec(line) ?? [];
    if (sum === undefined || name === undefined || !members.slice(0, 2).includes(name)) {
      throw broken(`failed checking integrity of snapshot: list missing hash for "${line}"`);
    }
    yield [name, sum];
  }
}

function readTar(tar: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let at = 0;
  while (at + block <= tar.length && tar[at] !== 0) {
    const header = tar.subarray(at, at + block);
    if (checksum(header) !== octal(header, 148, 8)) throw broken("archive/tar: invalid tar header");
    const name = decoder.decode(header.subarray(0, 100)).replace(/\0.*$/s, "");
    const size = octal(header, 124, 12);
    if (!members.includes(name)) throw broken(`unexpected file "${name}" in snapshot`);
    if (files.has(name)) throw broken(`file "${name}" twice in snapshot`);
    at += block;
    if (at + size > tar.length) throw broken("unexpected EOF");
    files.set(name, tar.subarray(at, at + size));
    at += Math.ceil(size / block) * block;
  }
  if (tar.subarray(at).some((byte) => byte !== 0)) {
    throw broken("unexpected bytes after the end of the archive");
  }
  return files;
}

function broken(reason: string): CuriaError {
  return new CuriaError("invalid-argument", `failed to read snapshot file: ${reason}`);
}

function octal(header: Uint8Array, at: number, length: number): number {
  return parseInt(decoder.decode(header.subarray(at, at + length)), 8);
}

/** The sum of a header's bytes, with its own field as spaces. */
function checksum(header: Uint8Array): number {
  return header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 32 : byte), 0);
}

/** What goes before and after state.bin in the tar of an archive. */
export function tarAround(
  about: Omit<ArchiveMeta, "Version" | "Size">,
  state: { size: number; sha256: string },
  wallMs: number,
): { before: Uint8Array; after: Uint8Array } {
  const { size, sha256 } = state;
  const meta = encoder.encode(`${JSON.stringify({ Version: 1, ...about, Size: size })}\n`);
  const metaSum = new Bun.CryptoHasher("sha256").update(meta).digest("hex");
  const sums = encoder.encode(`${metaSum}  meta.json\n${sha256}  state.bin\n`);
  const seconds = Math.floor(wallMs / 1000);
  return {
    before: Buffer.concat([
      header("meta.json", meta.length, seconds),
      meta,
      padding(meta.length),
      header("state.bin", size, seconds),
    ]),
    after: Buffer.concat([
      padding(size),
      header("SHA256SUMS", sums.length, seconds),
      sums,
      padding(sums.length),
      new Uint8Array(2 * block),
    ]),
  };
}

function header(name: string, size: number, seconds: number): Uint8Array {
  const bytes = new Uint8Array(block);
  const put = (at: number, text: string) => bytes.set(encoder.encode(text), at);
  put(0, name);
  put(100, "0000600\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, `${size.toString(8).padStart(11, "0")}\0`);
  put(136, `${seconds.toString(8).padStart(11, "0")}\0`);
  put(156, "0");
  put(257, "ustar\0");
  put(263, "00");
  put(148, `${checksum(bytes).toString(8).padStart(6, "0")}\0 `);
  return bytes;
}

function padding(size: number): Uint8Array {
  return new Uint8Array((block - size % block) % block);
}
