import { expect, test } from "bun:test";
import { KvEntry, ReadReply, type ReadReplyInput } from "#proto/messages.js";
import { Random } from "#shared/random.ts";
import { writeKvEntry } from "../../core/render/rows.ts";
import { type KvListReply, readKvList } from "./kv-list.ts";

const decode = (bytes: Uint8Array) => readKvList.response.decode(bytes) as KvListReply;

function entryOf(random: Random): ReturnType<typeof KvEntry.create> {
  const bytes = (most: number) =>
    Uint8Array.from({ length: random.below(most + 1) }, () => random.below(256));
  const key = random.pick(["a/b", "ü/<&>", '\u2028"\\', "k".repeat(300), "\u{1f600}"]);
  return KvEntry.create({
    key: random.below(4) === 0 ? bytes(20) : new TextEncoder().encode(key),
    value: bytes(random.pick([0, 3, 400])),
    flags: random.pick([0, 8]) === 8 ? Uint8Array.from({ length: 8 }, () => 255) : undefined,
    session: random.pick(["", "5c2d7e1a-0000-4000-8000-000000000001"]),
    lockIndex: random.below(3),
    createIndex: random.below(2 ** 31) * 2 ** 20,
    modifyIndex: random.below(1_000),
  });
}

test("a list is what its entries are one by one, and the rest of the reply is untouched", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed);
    const kv = Array.from({ length: random.below(40) }, () => entryOf(random));
    const meta = { index: random.below(1_000), generation: 3, knownLeader: true };
    // Slices follow each other as they were sent; the last one has the index.
    const cut = random.below(kv.length + 1);
    const slices: ReadReplyInput[] = [{ kv: kv.slice(0, cut) }, { kv: kv.slice(cut), meta }];
    const bytes = Buffer.concat(slices.map((slice) => ReadReply.encode(slice).finish()));
    const reply = decode(bytes);
    const expected = `[${kv.map(writeKvEntry).join(",")}]`;
    expect([seed, reply.entriesJson.toString()]).toEqual([seed, expected]);
    expect([seed, reply.entryCount, reply.kv.length]).toEqual([seed, kv.length, 0]);
    expect(reply.meta).toMatchObject(meta);
  }
});

test("an entry with a field of a later release is shown without it", () => {
  const entry = KvEntry.encode({ key: Buffer.from("a"), value: Buffer.from("x") }).finish();
  const later = Buffer.concat([entry, Buffer.from([15 << 3, 1])]);
  const { entriesJson } = decode(Buffer.concat([Buffer.from([26, later.length]), later]));
  expect(JSON.parse(entriesJson.toString())).toEqual([
    { LockIndex: 0, Key: "a", Flags: 0, Value: "eA==", CreateIndex: 0, ModifyIndex: 0 },
  ]);
});

test("bytes that were cut or changed never do more than refuse", () => {
  const random = new Random(7);
  const kv = Array.from({ length: 5 }, () => entryOf(random));
  const whole = ReadReply.encode({ kv, meta: { index: 9 } }).finish();
  let refusals = 0;
  for (let round = 0; round < 3_000; round++) {
    const bytes = whole.slice(0, random.below(whole.length + 1));
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    try {
      decode(bytes);
    } catch (error) {
      refusals++;
      expect(error).toBeInstanceOf(Error);
    }
  }
  expect(refusals).toBeGreaterThan(300);
});
