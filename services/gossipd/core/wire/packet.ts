// The layers around the messages of a packet and of a stream, outside to inside: label, encryption,
// CRC, compression, compound.
import { crc32 } from "./crc32.ts";
import { deflate, inflate } from "./lzw.ts";
import { compress, messageTypes } from "./memberlist.ts";
import { Reader, WireError } from "./reader.ts";
import { Writer } from "./writer.ts";

/** Encrypts and decrypts with the pool's keyring; the cipher itself is the shell's. */
export interface Sealer {
  /** Version, nonce, ciphertext and tag, under the primary key. */
  seal(plain: Uint8Array, associated: Uint8Array): Uint8Array;
  sealedLength(plainLength: number): number;
  /** Tries every key; undefined when none fits. */
  open(sealed: Uint8Array, associated: Uint8Array): Uint8Array | undefined;
}

export interface Envelope {
  /** Prefixed to all traffic of the pool; "" for none, as Consul and the Serf agent have it. */
  label: string;
  sealer?: Sealer | undefined;
  compress: boolean;
  /** Send under encryption when there is a sealer (GossipVerifyOutgoing). */
  sealOutgoing: boolean;
  /** Refuse what is not encrypted when there is a sealer (GossipVerifyIncoming). */
  refusePlain: boolean;
}

export const compoundPartsMax = 255;
/** What all layers of one packet may inflate to in sum; a datagram is at most 64 KiB. */
export const packetBytesMax = 1 << 20;
export const streamBytesMax = 40 << 20;
const nestingMax = 8;
const emptyBytes = new Uint8Array();

export function encodePacket(
  messages: readonly Uint8Array[],
  envelope: Envelope,
  crc: boolean,
): Uint8Array {
  let packet = messages.length === 1 ? messages[0]! : encodeCompound(messages);
  if (envelope.compress) {
    const packed = encodeCompressed(packet);
    if (packed.length < packet.length) packet = packed;
  }
  if (crc) packet = prependCrc(packet);
  const label = labelBytes(envelope);
  if (envelope.sealer && envelope.sealOutgoing) packet = envelope.sealer.seal(packet, label);
  return prependLabel(packet, label);
}

/** The leaf messages of a packet, still encoded. A part that is cut off is dropped. */
export function decodePacket(bytes: Uint8Array, envelope: Envelope): Uint8Array[] {
  let packet = removeLabel(bytes, envelope);
  if (envelope.sealer) {
    const plain = envelope.sealer.open(packet, labelBytes(envelope));
    if (plain) packet = plain;
    else if (envelope.refusePlain) throw new WireError("no installed key opens the packet");
  }
  if (packet.length >= 5 && packet[0] === messageTypes.hasCrc) packet = removeCrc(packet);
  const leaves: Uint8Array[] = [];
  unwrap(packet, leaves, { bytes: packetBytesMax }, 0);
  return leaves;
}

function unwrap(
  packet: Uint8Array,
  leaves: Uint8Array[],
  budget: { bytes: number },
  depth: number,
): void {
  if (depth > nestingMax) throw new WireError(`layers are nested deeper than ${nestingMax}`);
  budget.bytes -= packet.length;
  if (budget.bytes < 0) throw new WireError(`a packet grows beyond ${packetBytesMax} bytes`);
  if (packet[0] === messageTypes.compound) {
    for (const part of decodeCompound(packet)) unwrap(part, leaves, budget, depth + 1);
  } else if (packet[0] === messageTypes.compress) {
    unwrap(decodeCompressed(packet, budget.bytes), leaves, budget, depth + 1);
  } else leaves.push(packet);
}

export function encodeCompound(messages: readonly Uint8Array[]): Uint8Array {
  if (messages.length > compoundPartsMax) throw new RangeError("a compound has too many parts");
  const writer = new Writer();
  writer.byte(messageTypes.compound);
  writer.byte(messages.length);
  for (const message of messages) writer.uint16(message.length);
  for (const message of messages) writer.append(message);
  return writer.finish();
}

export function decodeCompound(bytes: Uint8Array): Uint8Array[] {
  const reader = new Reader(bytes, 1);
  const lengths = Array.from({ length: reader.byte() }, () => reader.uint16());
  const parts: Uint8Array[] = [];
  for (const length of lengths) {
    if (length > bytes.length - reader.offset) break;
    parts.push(reader.take(length));
  }
  return parts;
}

export function encodeCompressed(plain: Uint8Array): Uint8Array {
  return compress.encode({ Algo: 0, Buf: deflate(plain) }, messageTypes.compress);
}

export function decodeCompressed(bytes: Uint8Array, bytesMax: number): Uint8Array {
  const { Algo, Buf } = compress.read(new Reader(bytes, 1));
  if (Algo !== 0) throw new WireError(`unknown compression algorithm ${Algo}`);
  return inflate(Buf ?? emptyBytes, bytesMax);
}

export function prependCrc(packet: Uint8Array): Uint8Array {
  const writer = new Writer();
  writer.byte(messageTypes.hasCrc);
  writer.uint32(crc32(packet));
  writer.append(packet);
  return writer.finish();
}

function removeCrc(packet: Uint8Array): Uint8Array {
  const expected = new Reader(packet, 1).uint32();
  const rest = packet.subarray(5);
  if (crc32(rest) !== expected) throw new WireError("the packet's CRC does not fit its bytes");
  return rest;
}

export function labelBytes(envelope: Pick<Envelope, "label">): Uint8Array {
  return envelope.label === "" ? emptyBytes : new TextEncoder().encode(envelope.label);
}

export function prependLabel(packet: Uint8Array, label: Uint8Array): Uint8Array {
  if (label.length === 0) return packet;
  const writer = new Writer();
  writer.byte(messageTypes.hasLabel);
  writer.byte(label.length);
  writer.append(label);
  writer.append(packet);
  return writer.finish();
}

/** What follows the label header, whose label must be the pool's. */
export function removeLabel(bytes: Uint8Array, envelope: Pick<Envelope, "label">): Uint8Array {
  const expected = labelBytes(envelope);
  if (bytes[0] !== messageTypes.hasLabel) {
    if (expected.length > 0) throw new WireError("a label was expected, but there is none");
    return bytes;
  }
  const reader = new Reader(bytes, 1);
  const length = reader.byte();
  if (length === 0) throw new WireError("a label of length 0");
  const label = reader.take(length);
  if (!sameBytes(label, expected)) throw new WireError("the label is not this pool's");
  return bytes.subarray(reader.offset);
}

/** What the layers add to a packet at most, for budgets. */
export function envelopeOverhead(envelope: Envelope): number {
  const label = labelBytes(envelope).length;
  const sealed = envelope.sealer && envelope.sealOutgoing ? 29 : 0;
  return sealed + (label > 0 ? label + 2 : 0);
}

export function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  const left = a ?? emptyBytes;
  const right = b ?? emptyBytes;
  if (left.length !== right.length) return false;
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false;
  return true;
}
