// One direction of a gossip stream: finds the end of the single message that it carries, and removes
// label, encryption and compression.
import {
  ackResp,
  checkedLength,
  compress,
  err,
  messageTypes,
  ping,
  pushPullNode,
  readPushPullHeader,
  userHeader,
} from "./memberlist.ts";
import {
  decodeCompressed,
  encodeCompressed,
  type Envelope,
  labelBytes,
  prependLabel,
  removeLabel,
  streamBytesMax,
} from "./packet.ts";
import { Reader, TruncatedError, WireError } from "./reader.ts";
import { Writer } from "./writer.ts";

export const sealedBytesMax = 20 * 1024 * 1024;

/** The peer and we do not agree on encryption; the text goes back to it. */
export class EncryptionMismatch extends WireError {
  override name = "EncryptionMismatch";
}

/** Only who dials writes the label; both bind it into the encryption. */
export function encodeStream(message: Uint8Array, envelope: Envelope, dials: boolean): Uint8Array {
  const label = labelBytes(envelope);
  let stream = envelope.compress ? encodeCompressed(message) : message;
  if (envelope.sealer && envelope.sealOutgoing) stream = sealStream(stream, envelope, label);
  return dials ? prependLabel(stream, label) : stream;
}

function sealStream(plain: Uint8Array, envelope: Envelope, label: Uint8Array): Uint8Array {
  const sealer = envelope.sealer!;
  const head = streamHead(sealer.sealedLength(plain.length));
  const sealed = sealer.seal(plain, joined(head, label));
  return joined(head, sealed);
}

function streamHead(length: number): Uint8Array {
  const writer = new Writer();
  writer.byte(messageTypes.encrypt);
  writer.uint32(length);
  return writer.finish();
}

/** Collects the chunks of one direction until its message is whole. */
export class StreamReader {
  readonly #envelope: Envelope;
  readonly #accepts: boolean;
  #bytes = new Uint8Array(4096);
  #length = 0;
  /** Where the push/pull's next node begins and how many are to come; saves reading them again. */
  #nodes: { at: number; left: number; userStateLength: number } | undefined;

  /** `accepts`: we are the accepting side, so the dialler's label precedes the message. */
  constructor(envelope: Envelope, accepts: boolean) {
    this.#envelope = envelope;
    this.#accepts = accepts;
  }

  /** The message without its layers, once it is whole. Throws WireError on what cannot be one. */
  push(chunk: Uint8Array): Uint8Array | undefined {
    this.#append(chunk);
    try {
      return this.#message();
    } catch (error) {
      if (error instanceof TruncatedError) return undefined;
      throw error;
    }
  }

  #message(): Uint8Array | undefined {
    const bytes = this.#bytes.subarray(0, this.#length);
    if (bytes.length === 0) return undefined;
    const body = this.#accepts ? removeLabel(bytes, this.#envelope) : bytes;
    if (body.length === 0) return undefined;
    if (body[0] === messageTypes.encrypt) return this.#opened(body);
    if (this.#envelope.sealer && this.#envelope.refusePlain) {
      throw new EncryptionMismatch(
        "Encryption is configured but remote state is not encrypted",
      );
    }
    const end = this.#end(body);
    return end === undefined ? undefined : uncompressed(body.slice(0, end));
  }

  #opened(body: Uint8Array): Uint8Array {
    const { sealer } = this.#envelope;
    if (!sealer) {
      throw new EncryptionMismatch("Remote state is encrypted and encryption is not configured");
    }
    const reader = new Reader(body, 1);
    const length = reader.uint32();
    if (length > sealedBytesMax) throw new WireError(`${length} encrypted bytes are announced`);
    const sealed = reader.take(length);
    const associated = joined(body.subarray(0, 5), labelBytes(this.#envelope));
    const plain = sealer.open(sealed, associated);
    if (!plain) throw new EncryptionMismatch("no installed key opens the stream");
    return uncompressed(plain);
  }

  #end(body: Uint8Array): number | undefined {
    const reader = new Reader(body, 1);
    switch (body[0]) {
      case messageTypes.ping:
        ping.read(reader);
        return reader.offset;
      case messageTypes.ackResp:
        ackResp.read(reader);
        return reader.offset;
      case messageTypes.err:
        err.read(reader);
        return reader.offset;
      case messageTypes.compress:
        compress.read(reader);
        return reader.offset;
      case messageTypes.user:
        return whole(reader, checkedLength(userHeader.read(reader).UserMsgLen));
      case messageTypes.pushPull:
        return this.#pushPullEnd(reader);
      default:
        throw new WireError(`a stream must not begin with a message of type ${body[0]}`);
    }
  }

  #pushPullEnd(reader: Reader): number {
    if (!this.#nodes) {
      const header = readPushPullHeader(reader);
      this.#nodes = { at: reader.offset, left: header.Nodes, userStateLength: header.UserStateLen };
    }
    const nodes = this.#nodes;
    reader.offset = nodes.at;
    while (nodes.left > 0) {
      pushPullNode.read(reader);
      nodes.left--;
      nodes.at = reader.offset;
    }
    return whole(reader, nodes.userStateLength);
  }

  #append(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > streamBytesMax) throw new WireError(`a stream grows beyond ${streamBytesMax}`);
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = length;
  }
}

function whole(reader: Reader, length: number): number {
  if (length > reader.bytes.length - reader.offset) throw new TruncatedError("more is to come");
  return reader.offset + length;
}

function uncompressed(message: Uint8Array): Uint8Array {
  return message[0] === messageTypes.compress ? decodeCompressed(message, streamBytesMax) : message;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
