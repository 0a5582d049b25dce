// Every recorded gossip packet and stream: decodes to what its index says, and is made again byte
// for byte from what was decoded.
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { Keyring } from "../../services/gossipd/core/keyring.ts";
import { parseSnapshot } from "../../services/gossipd/core/serf/snapshot.ts";
import { decodeCoordinate, encodeCoordinate } from "../../services/gossipd/core/serf/coordinate.ts";
import { deflate, inflate } from "../../services/gossipd/core/wire/lzw.ts";
import {
  decodeMessage,
  decodeStreamMessage,
  encodeMessage,
  encodeStreamMessage,
} from "../../services/gossipd/core/wire/memberlist.ts";
import {
  decodePacket,
  encodePacket,
  type Envelope,
} from "../../services/gossipd/core/wire/packet.ts";
import { decodeSerf, encodeSerf } from "../../services/gossipd/core/wire/serf.ts";
import { encodeStream, StreamReader } from "../../services/gossipd/core/wire/stream.ts";
import { decodeTags } from "../../services/gossipd/core/wire/tags.ts";
import { Cipher, type EncryptionVersion } from "../../services/gossipd/io/cipher.ts";

const folder = new URL("fixtures/gossip/", import.meta.url).pathname;
// deno-lint-ignore no-explicit-any
type Json = any;
interface Entry {
  file: string;
  transport: "udp" | "tcp" | "none";
  keysHex: string[];
  decoded: Json;
}

const entries: Entry[] = JSON.parse(readFileSync(`${folder}index.json`, "utf8"));
const load = (file: string) => new Uint8Array(readFileSync(folder + file));

/** The layers that the index names, outside to inside, down to the first message. */
function layersOf(decoded: Json): Json[] {
  const layers: Json[] = [];
  for (let layer = decoded; layer; layer = layer.inner) {
    if (layer.layer === undefined) break;
    layers.push(layer);
  }
  return layers;
}

/** The leaf messages that the index names. */
function leavesOf(decoded: Json): Json[] {
  if (decoded.layer === "compound") return decoded.parts.flatMap(leavesOf);
  return decoded.layer === undefined ? [decoded] : leavesOf(decoded.inner);
}

function envelopeOf(entry: Entry, primaryHex = entry.keysHex[0]): Envelope {
  const layers = layersOf(entry.decoded);
  const sealed = layers.find((layer) => layer.layer.startsWith("encrypt"));
  const keys = entry.keysHex.toSorted((a, b) =>
    Number(b === primaryHex) - Number(a === primaryHex)
  );
  const keyring = new Keyring(keys.map((hex) => Uint8Array.fromHex(hex)));
  const nonce = () => Uint8Array.fromHex(sealed.nonce);
  const label = layers.find((layer) => layer.layer === "label")?.label ??
    (sealed?.aad.endsWith("6c6162") ? "lab" : "");
  return {
    label,
    compress: layers.some((layer) => layer.layer === "compress"),
    sealOutgoing: sealed !== undefined,
    refusePlain: sealed !== undefined,
    sealer: sealed && new Cipher(keyring, sealed.version as EncryptionVersion, nonce),
  };
}

/** Our values in the notation of the index. */
function inIndexNotation(value: unknown): Json {
  if (value instanceof Uint8Array) return { hex: value.toHex() };
  if (value instanceof Map) {
    return Object.fromEntries([...value].map(([k, v]) => [k, inIndexNotation(v)]));
  }
  if (Array.isArray(value)) return value.map(inIndexNotation);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, inIndexNotation(v)]));
}

const serfNames: Record<string, string> = {
  queryResponse: "queryResp",
  conflictResponse: "conflictResp",
  keyRequest: "keyReq",
  keyResponse: "keyResp",
};

function serfNotation(bytes: Uint8Array, leaf: Json): Json {
  const message = decodeSerf(bytes);
  const serf = serfNames[message.kind] ?? message.kind;
  const common = { serf, type: bytes[0] };
  if (message.kind === "relay") {
    const { address, port, zone, name, inner } = message.body;
    const DestAddr = { IP: inIndexNotation(address), Port: port, Zone: zone };
    return { ...common, fields: { DestAddr, DestName: name }, inner: serfNotation(inner, {}) };
  }
  const fields = inIndexNotation(message.body);
  if (message.kind === "pushPull") {
    const events = fields.Events as Json[];
    const nonNil = Object.fromEntries(
      events.flatMap((event, index) => event ? [[String(index), event]] : []),
    );
    fields.Events = { arrayLength: events.length, nonNil };
  }
  const notation: Json = { ...common, fields };
  if (leaf?.payloadDecoded && "Payload" in message.body) {
    const { type: _, ...payload } = serfNotation(message.body.Payload!, {});
    notation.payloadDecoded = payload;
  }
  return notation;
}

/** Fields left out on the wire are zero to us and absent in the index. */
function withoutAbsent(fields: Json, expected: Json): Json {
  return Object.fromEntries(
    Object.entries(fields).filter(([name, value]) =>
      Object.hasOwn(expected, name) || (value !== null && value !== "" && value !== 0)
    ),
  );
}

function messageNotation(bytes: Uint8Array, leaf: Json): Json {
  const message = decodeMessage(bytes);
  const notation: Json = { msg: message.kind, type: bytes[0] };
  if (message.kind === "user") {
    const inner = serfNotation(message.body, leaf.inner.payloadDecoded ? leaf.inner : leaf);
    if (inner.payloadDecoded && leaf.payloadDecoded) {
      notation.payloadDecoded = inner.payloadDecoded;
      delete inner.payloadDecoded;
    }
    return { ...notation, inner };
  }
  notation.fields = withoutAbsent(inIndexNotation(message.body), leaf.fields);
  if (leaf.tagsDecoded && message.kind === "alive") {
    notation.tagsDecoded = Object.fromEntries(decodeTags(message.body.Meta));
  }
  if (leaf.coordinate && message.kind === "ackResp") {
    const coordinate = decodeCoordinate(message.body.Payload!)!;
    expect(encodeCoordinate(coordinate)).toEqual(message.body.Payload!);
    const { vec: Vec, error: Error, adjustment: Adjustment, height: Height } = coordinate;
    notation.coordinate = { pingVersion: 1, fields: { Adjustment, Error, Height, Vec } };
  }
  return notation;
}

function streamNotation(bytes: Uint8Array, expected: Json): Json {
  const message = decodeStreamMessage(bytes);
  const type = bytes[0];
  switch (message.kind) {
    case "pushPull": {
      const { join, nodes, userState } = message.body;
      return {
        msg: "pushPull",
        type,
        header: { Join: join, Nodes: nodes.length, UserStateLen: userState.length },
        nodes: nodes.map((node, index) => {
          const notation = inIndexNotation(node);
          const tags = expected.nodes[index]?.tagsDecoded;
          return tags
            ? { ...notation, tagsDecoded: Object.fromEntries(decodeTags(node.Meta)) }
            : notation;
        }),
        userState: expected.userState.rawHex === undefined
          ? serfNotation(userState, expected.userState)
          : { rawHex: userState.toHex() },
      };
    }
    case "user":
      return {
        msg: "user(stream)",
        type,
        header: { UserMsgLen: message.body.length },
        inner: serfNotation(message.body, expected),
      };
    default:
      return {
        msg: message.kind,
        type,
        fields: withoutAbsent(inIndexNotation(message.body), expected.fields),
      };
  }
}

const bins = entries.filter((entry) => entry.file.endsWith(".bin"));

test("the index names every recording", () => {
  const files = readdirSync(folder).filter((file) => file.endsWith(".bin"));
  expect(bins.map((entry) => entry.file).sort()).toEqual(files.sort());
  expect(files.length).toBe(60);
});

describe("packets", () => {
  for (const entry of bins.filter((bin) => bin.transport === "udp")) {
    test(entry.file, () => {
      const bytes = load(entry.file);
      const envelope = envelopeOf(entry);
      const expected = leavesOf(entry.decoded);
      const leaves = decodePacket(bytes, envelope);
      expect(leaves.map((leaf, i) => messageNotation(leaf, expected[i]))).toEqual(expected);

      const again = leaves.map((leaf) => encodeMessage(decodeMessage(leaf)));
      expect(again).toEqual(leaves);
      for (const leaf of leaves) reencodeSerf(leaf);
      const crc = layersOf(entry.decoded).some((layer) => layer.layer === "hasCrc");
      // The recordings of a key rotation do not say which key was primary: one of them must fit.
      const made = entry.keysHex.map((key) => encodePacket(again, envelopeOf(entry, key), crc));
      const candidates = made.length > 0 ? made : [encodePacket(again, envelope, crc)];
      expect(candidates.map((packet) => packet.toHex())).toContain(bytes.toHex());
    });
  }
});

function reencodeSerf(leaf: Uint8Array): void {
  const message = decodeMessage(leaf);
  if (message.kind === "user") expect(encodeSerf(decodeSerf(message.body))).toEqual(message.body);
}

describe("streams", () => {
  for (const entry of bins.filter((bin) => bin.transport === "tcp")) {
    test(entry.file, () => {
      const bytes = load(entry.file);
      const envelope = envelopeOf(entry);
      const dials = layersOf(entry.decoded)[0]?.layer === "label" || envelope.label === "";
      const reader = new StreamReader(envelope, dials);
      const byByte = [...bytes].map((byte) => reader.push(Uint8Array.of(byte)));
      const message = byByte.at(-1)!;
      expect(byByte.slice(0, -1).every((early) => early === undefined)).toBe(true);
      const leaf = leavesOf(entry.decoded)[0];
      expect(streamNotation(message, leaf)).toEqual(leaf);

      const again = encodeStreamMessage(decodeStreamMessage(message));
      // Consul's newer codec writes signed integers for its counts; we write the older form.
      if (!entry.file.startsWith("71-")) {
        expect(again.toHex()).toBe(message.toHex());
        expect(encodeStream(again, envelope, dials).toHex()).toBe(bytes.toHex());
      }
      expect(streamNotation(again, leaf)).toEqual(leaf);
    });
  }
});

test("90: LZW across the 12-bit limit, both ways", () => {
  const plain = load("90-lzw-24k.plain");
  expect(inflate(load("90-lzw-24k.lzw"), 1 << 20)).toEqual(plain);
  expect(deflate(plain)).toEqual(load("90-lzw-24k.lzw"));
});

test("91: a rejoin snapshot", () => {
  const snapshot = parseSnapshot(readFileSync(`${folder}91-serf-snapshot-file.txt`, "utf8"), false);
  expect(snapshot).toEqual({
    alive: new Map([["alpha", "127.0.0.1:27946"], ["charlie", "127.0.0.1:27948"]]),
    clock: 2,
    eventClock: 1,
    queryClock: 1,
  });
});
