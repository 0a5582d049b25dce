import { expect, test } from "bun:test";
import { Random } from "#shared/random.ts";
import { deflate, inflate } from "./lzw.ts";
import { alive, encodeMessage } from "./memberlist.ts";
import {
  decodePacket,
  encodeCompound,
  encodeCompressed,
  encodePacket,
  type Envelope,
  packetBytesMax,
  streamBytesMax,
} from "./packet.ts";
import { Reader, TruncatedError, WireError } from "./reader.ts";
import { int64, mapOf, text, uint53 } from "./schema.ts";
import { encodeStream, EncryptionMismatch, StreamReader } from "./stream.ts";
import { decodeTags, encodeTags } from "./tags.ts";
import { Writer } from "./writer.ts";

const plain: Envelope = { label: "", compress: false, sealOutgoing: true, refusePlain: true };
const nack = (SeqNo: number) => encodeMessage({ kind: "nackResp", body: { SeqNo } });
const encoded = (write: (writer: Writer) => void, extended = false) => {
  const writer = new Writer(extended);
  write(writer);
  return writer.finish();
};

test("integers take the smallest form, and 64-bit ones keep every bit", () => {
  const of = (value: number) => encoded((writer) => writer.integer(value)).toHex();
  expect([0, 127, 128, 255, 256, 65_535, 65_536].map(of)).toEqual(
    ["00", "7f", "cc80", "ccff", "cd0100", "cdffff", "ce00010000"],
  );
  expect(of(2 ** 32)).toBe("cf0000000100000000");
  expect(of(Number.MAX_SAFE_INTEGER)).toBe("cf001fffffffffffff");
  for (const value of [-1, -33, -1e6, -(2 ** 40), 2 ** 31, 2 ** 52]) {
    const bytes = encoded((writer) => writer.integer(value));
    expect(new Reader(bytes).integer()).toBe(value);
  }
});

test("text and bytes are written in the old family, read in both", () => {
  const of = (length: number, extended = false) =>
    encoded((writer) => writer.text("x".repeat(length)), extended).subarray(0, 3).toHex();
  expect([of(31), of(32), of(255)]).toEqual(["bf7878", "da0020", "da00ff"]);
  expect(of(32, true)).toBe("d92078");
  for (const hex of ["a161", "d90161", "c40161", "da000161", "c5000161", "db0000000161"]) {
    expect(new Reader(Uint8Array.fromHex(hex)).text()).toBe("a");
  }
});

test("signed forms of counts are read, floats for integers are not", () => {
  expect(new Reader(Uint8Array.fromHex("d1028a")).integer()).toBe(650);
  expect(new Reader(Uint8Array.fromHex("d3ffffffffffffffff")).integer()).toBe(-1);
  expect(() => new Reader(Uint8Array.fromHex("cb3ff0000000000000")).integer()).toThrow(WireError);
  const tooLarge = Uint8Array.fromHex("cfffffffffffffffff");
  expect(() => uint53.read(new Reader(tooLarge))).toThrow("expected an integer");
  expect(int64.read(new Reader(Uint8Array.fromHex("ce77359400")))).toBe(2_000_000_000);
});

test("unknown keys, any order and missing keys are understood", () => {
  const bytes = encoded((writer) => {
    writer.map(4);
    writer.text("Port");
    writer.integer(80);
    writer.text("Future");
    writer.array(2);
    writer.map(1);
    writer.text("a");
    writer.float(1);
    writer.nil();
    writer.text("Node");
    writer.text("n");
    writer.text("Incarnation");
    writer.integer(3);
  });
  const read = alive.read(new Reader(bytes));
  expect(read).toEqual({ Addr: null, Incarnation: 3, Meta: null, Node: "n", Port: 80, Vsn: null });
});

test("announced lengths beyond the bytes are refused before anything is made", () => {
  for (const hex of ["df7fffffff", "dd7fffffff", "db7fffffff61", "a561", "85"]) {
    const reader = new Reader(Uint8Array.fromHex(hex));
    expect(() => mapOf(text).read(reader)).toThrow(WireError);
  }
  expect(() => new Reader(Uint8Array.fromHex("dc0003c0")).skip()).toThrow(TruncatedError);
  const deep = new Uint8Array(100_000).fill(0x91);
  expect(() => new Reader(deep).skip()).toThrow("nested deeper");
});

test("tags are a sorted map behind ff; anything else is a role", () => {
  const tags = new Map([["role", "db"], ["dc", "lab"]]);
  expect(encodeTags(tags).toHex()).toBe("ff82a26463a36c6162a4726f6c65a26462");
  expect(decodeTags(encodeTags(tags))).toEqual(new Map([["dc", "lab"], ["role", "db"]]));
  expect(encodeTags(new Map()).toHex()).toBe("ff80");
  expect(decodeTags(new TextEncoder().encode("web"))).toEqual(new Map([["role", "web"]]));
  expect(decodeTags(Uint8Array.of(0xff, 0x82, 0xa1))).toEqual(new Map());
});

test("random bytes survive LZW at all lengths around its limits", () => {
  const random = new Random(5);
  for (const length of [0, 1, 2, 255, 256, 3_836, 3_837, 3_838, 3_839, 10_000]) {
    for (const letters of [1, 2, 256]) {
      const bytes = Uint8Array.from({ length }, () => random.below(letters));
      expect(inflate(deflate(bytes), 1 << 20)).toEqual(bytes);
    }
  }
});

test("a compression bomb stops at its limit", () => {
  const bomb = deflate(new Uint8Array(8 << 20));
  expect(bomb.length).toBeLessThan(12_000);
  expect(() => inflate(bomb, packetBytesMax)).toThrow("grow beyond");
  const packet = encodeCompressed(new Uint8Array(8 << 20));
  expect(() => decodePacket(packet, plain)).toThrow(WireError);
  expect(() => inflate(Uint8Array.of(1, 2, 3), 100)).toThrow(WireError);
});

test("a compression bomb on a stream stops at its limit too", () => {
  const bomb = encodeCompressed(new Uint8Array(streamBytesMax + 1));
  expect(bomb.length).toBeLessThan(64_000);
  expect(() => new StreamReader(plain, true).push(bomb)).toThrow("grow beyond");
});

test("layers may nest, but neither deep nor large", () => {
  const inner = encodeCompound([nack(1), nack(2)]);
  const nested = encodeCompound([inner, encodeCompressed(inner), nack(3)]);
  expect(decodePacket(nested, plain)).toEqual([nack(1), nack(2), nack(1), nack(2), nack(3)]);
  let deep: Uint8Array = nack(1);
  for (let i = 0; i < 20; i++) deep = encodeCompound([deep]);
  expect(() => decodePacket(deep, plain)).toThrow("nested deeper");
  let wide = encodeCompressed(new Uint8Array(60_000));
  for (let i = 0; i < 2; i++) wide = encodeCompound(new Array(200).fill(wide));
  expect(() => decodePacket(wide, plain)).toThrow(WireError);
});

test("a compound that is cut off gives the parts that are whole", () => {
  const whole = encodeCompound([nack(1), nack(2), nack(3)]);
  expect(decodePacket(whole.subarray(0, whole.length - 1), plain)).toEqual([nack(1), nack(2)]);
});

test("a CRC is checked where it stands outside, and unknown elsewhere", () => {
  const packet = encodePacket([nack(1)], plain, true);
  expect(decodePacket(packet, plain)).toEqual([nack(1)]);
  packet[7]! ^= 1;
  expect(() => decodePacket(packet, plain)).toThrow("CRC");
});

test("labels must be the pool's", () => {
  const labelled = { ...plain, label: "lab" };
  const packet = encodePacket([nack(1)], labelled, false);
  expect(decodePacket(packet, labelled)).toEqual([nack(1)]);
  expect(() => decodePacket(packet, plain)).toThrow("not this pool's");
  expect(() => decodePacket(nack(1), labelled)).toThrow("a label was expected");
  expect(() => decodePacket(Uint8Array.of(0xf4, 0, 1), plain)).toThrow("length 0");
});

test("a stream says what is wrong with its encryption", () => {
  const sealed = Uint8Array.of(10, 0, 0, 0, 1, 1);
  expect(() => new StreamReader(plain, true).push(sealed)).toThrow(EncryptionMismatch);
  const sealer = { seal: () => sealed, sealedLength: () => 1, open: () => undefined };
  const locked = new StreamReader({ ...plain, sealer }, true);
  expect(() => locked.push(encodeStream(nack(1), plain, true))).toThrow(EncryptionMismatch);
  const huge = Uint8Array.of(10, 0x7f, 0, 0, 0, 1);
  expect(() => new StreamReader({ ...plain, sealer }, true).push(huge)).toThrow("announced");
});

test("a stream that claims too much is refused at once", () => {
  const claims = ["0683a44a6f696ec3a54e6f646573ce7fffffffac5573657253746174654c656e00"];
  claims.push("0881aa557365724d73674c656ece7fffffff", "63", "07");
  for (const hex of claims) {
    expect(() => new StreamReader(plain, true).push(Uint8Array.fromHex(hex))).toThrow(WireError);
  }
});
