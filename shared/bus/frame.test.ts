import { describe, expect, test } from "bun:test";
import { Frame as FrameMessage, type FrameInput } from "#proto/messages.js";
import { Random } from "../random.ts";
import { body, type Frame, FrameSplitter, RequestParts } from "./frame.ts";

function encode(...frames: FrameInput[]): Uint8Array {
  return Buffer.concat(frames.map((frame) => {
    const bytes = FrameMessage.encode(frame).finish();
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  }));
}

/** What a splitter makes of chunks: "<call>:<body>:<text>" per frame. */
function split(chunks: Uint8Array[], frameMax = 1 << 20) {
  const frames: string[] = [];
  const splitter = new FrameSplitter(frameMax, (frame: Frame) => {
    const text = Buffer.from(frame.buffer.subarray(frame.start, frame.end)).toString();
    const isBytes = frame.body === body.response || frame.body === body.item;
    frames.push(`${frame.call}:${frame.body}:${isBytes ? text : frame.value}`);
  });
  for (const chunk of chunks) {
    const problem = splitter.push(chunk);
    if (problem !== undefined) return { frames, problem };
  }
  return { frames, problem: undefined };
}

const samples = encode(
  { call: 1, response: Buffer.from("hello") },
  { call: 300, item: Buffer.from("x".repeat(5000)) },
  { call: 70000, end: true },
  { credit: 12345, call: 5 },
  { ping: 7 },
);
const expected = [
  "1:4:hello",
  `300:5:${"x".repeat(5000)}`,
  "70000:6:1",
  "5:9:12345",
  "0:10:7",
];

describe("a byte stream cut into frames", () => {
  test("gives them whole when they come in one chunk", () => {
    expect(split([samples])).toEqual({ frames: expected, problem: undefined });
  });

  test("gives them whole byte by byte", () => {
    const bytes = [...samples].map((byte) => Uint8Array.of(byte));
    expect(split(bytes)).toEqual({ frames: expected, problem: undefined });
  });

  const seed = Number(process.env.SEED ?? 11);
  test(`gives them whole in chunks of any size (seed ${seed})`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 200; round++) {
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < samples.length;) {
        const size = 1 + random.below(random.chance(0.5) ? 10 : 3000);
        chunks.push(samples.subarray(at, at + size));
        at += size;
      }
      expect(split(chunks)).toEqual({ frames: expected, problem: undefined });
    }
  });

  test("stops at a length above the limit, without waiting for its bytes", () => {
    const length = Uint8Array.of(0x7f, 0xff, 0xff, 0xff);
    expect(split([encode({ ping: 1 }), length]).problem).toBe("oversized");
    expect(split([encode({ ping: 1 }), length.subarray(0, 2), length.subarray(2)]).problem)
      .toBe("oversized");
    const exact = encode({ call: 1, item: Buffer.alloc(1000) });
    expect(split([exact], exact.length - 4).problem).toBeUndefined();
    expect(split([exact], exact.length - 5).problem).toBe("oversized");
  });

  test("refuses empty frames, groups, wrong wire types and lengths beyond the frame", () => {
    for (
      const bytes of [
        [], // empty
        [0x0b], // a group
        [0x18, 0x05], // request as a number
        [0x52, 0x01, 0x00], // ping as bytes
        [0x22, 0x7f, 0x00], // response longer than the frame
        [0x08], // truncated varint
        [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
      ]
    ) {
      expect(split([Uint8Array.of(0, 0, 0, bytes.length, ...bytes)]).problem).toBe("malformed");
    }
  });

  test("passes over fields of a newer release", () => {
    const newer = Uint8Array.of(
      0x08,
      0x05,
      0x98,
      0x06,
      0x01,
      0xa2,
      0x06,
      0x02,
      0x41,
      0x42,
      0x30,
      0x01,
    );
    expect(split([Uint8Array.of(0, 0, 0, newer.length), newer]).frames).toEqual(["5:6:1"]);
  });

  test(`never throws on garbage (seed ${seed})`, () => {
    const random = new Random(seed);
    let refused = 0;
    for (let round = 0; round < 2000; round++) {
      const bytes = Uint8Array.from({ length: 4 + random.below(80) }, () => random.below(256));
      bytes.set([0, 0, 0, random.below(60)]);
      if (split([bytes]).problem !== undefined) refused++;
      const parts = new RequestParts();
      parts.read(bytes, 0, bytes.length);
    }
    expect(refused).toBeGreaterThan(1000);
  });
});

describe("a request in place", () => {
  test("shows method, context and payload", () => {
    const bytes = FrameMessage.encode({
      request: {
        method: "State.Apply",
        context: { token: "t" },
        payload: Buffer.from("payload"),
      },
    }).finish();
    const parts = new RequestParts();
    // The frame is its tag, its length and the request.
    expect(parts.read(bytes, 2, bytes.length)).toBe(true);
    expect(parts.method).toBe("State.Apply");
    expect(Buffer.from(bytes.subarray(parts.payloadStart, parts.payloadEnd)).toString())
      .toBe("payload");
    expect(parts.contextEnd - parts.contextStart).toBe(3);
  });

  test("with equal hashes of method names keeps the names apart", () => {
    // "Aa" and "BB" have the same hash under multiplication by 31.
    for (const method of ["xAa", "xBB", "xAa", "xBB"]) {
      const bytes = FrameMessage.encode({ request: { method } }).finish();
      const parts = new RequestParts();
      parts.read(bytes, 2, bytes.length);
      expect(parts.method).toBe(method);
    }
  });
});
