// proto/gen is what the .proto files say, and its codecs agree with protobufjs's own reflection.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import protobuf from "protobufjs";
import * as messages from "#proto/messages.js";
import { Random } from "#shared/random.ts";
import { generate, staleFiles } from "../../scripts/codegen.ts";

const protoDir = join(import.meta.dirname, "../../proto");

function reflectionRoot(): protobuf.Root {
  const root = new protobuf.Root();
  for (const name of readdirSync(protoDir)) {
    if (!name.endsWith(".proto") || name === "options.proto") continue;
    protobuf.parse(readFileSync(join(protoDir, name), "utf8"), root);
  }
  root.resolveAll();
  return root;
}

const root = reflectionRoot();
const types = (root.lookup("curia") as protobuf.Namespace).nestedArray
  .filter((object) => object instanceof protobuf.Type) as protobuf.Type[];

interface AnyCodec {
  create(from?: object): object;
  encode(message: object): protobuf.Writer;
  decode(source: Uint8Array): object;
}
const codecOf = (name: string) =>
  (messages as unknown as Record<string, AnyCodec | undefined>)[name]!;

test("proto/gen is fresh", () => {
  expect(staleFiles(generate(protoDir), join(protoDir, "gen"))).toEqual([]);
});

test("a changed .proto makes it stale", () => {
  const dir = mkdtempSync(join(tmpdir(), "curia-codegen-"));
  try {
    for (const name of readdirSync(protoDir)) {
      if (!name.endsWith(".proto")) continue;
      const text = readFileSync(join(protoDir, name), "utf8");
      const planted = name === "envelope.proto" ? "\nmessage Planted { uint32 n = 1; }\n" : "";
      writeFileSync(join(dir, name), text + planted);
    }
    expect(staleFiles(generate(dir), join(protoDir, "gen"))).toEqual([
      "messages.js",
      "messages.d.ts",
    ]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

describe("codecs against protobufjs's reflection", () => {
  test("every message has a codec", () => {
    expect(types.length).toBeGreaterThan(50);
    for (const type of types) expect(codecOf(type.name)).toBeDefined();
  });

  const seed = Number(process.env.SEED ?? 1);
  test(`random messages have the same bytes and read back the same (seed ${seed})`, () => {
    const random = new Random(seed);
    for (const type of types) {
      for (let round = 0; round < 20; round++) {
        const value = randomMessage(type, random, 0);
        const codec = codecOf(type.name);
        const theirs = type.encode(type.create(value)).finish();
        const mine = codec.encode(value).finish();
        expect(Buffer.from(mine).toString("hex")).toBe(Buffer.from(theirs).toString("hex"));
        const again = codec.encode(codec.decode(theirs)).finish();
        expect(Buffer.from(again).toString("hex")).toBe(Buffer.from(theirs).toString("hex"));
        const created = codec.encode(codec.create(value)).finish();
        expect(Buffer.from(created).toString("hex")).toBe(Buffer.from(theirs).toString("hex"));
        expect(codec.decode(theirs)).toEqual(codec.create(value));
      }
    }
  });

  test(`garbage throws an Error or decodes, never hangs or crashes (seed ${seed})`, () => {
    const random = new Random(seed);
    let refused = 0;
    for (const type of types) {
      const codec = codecOf(type.name);
      for (let round = 0; round < 200; round++) {
        const bytes = mutated(type, random);
        try {
          codec.decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });

  test("nesting without end is refused", () => {
    let bytes: Uint8Array = new Uint8Array(0);
    for (let depth = 0; depth < 500; depth++) {
      const writer = protobuf.Writer.create().uint32(9 * 8 + 2).fork();
      bytes = writer.uint32(10).bytes(bytes).ldelim().finish();
    }
    expect(() => messages.Command.decode(bytes)).toThrow("messages nested too deeply");
  });
});

test("a map key called __proto__ stays a key", () => {
  const entry = protobuf.Writer.create().uint32(10).string("__proto__").uint32(18).string("x");
  const bytes = protobuf.Writer.create().uint32(6 * 8 + 2).bytes(entry.finish()).finish();
  const node = messages.Node.decode(bytes);
  expect(Object.entries(node.meta)).toEqual([["__proto__", "x"]]);
  expect("constructor" in node.meta).toBe(false);
});

test("numbers up to 2^53 - 1 survive", () => {
  for (const index of [0, 1, 127, 128, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 3, 2 ** 53 - 1]) {
    const bytes = messages.ReadMeta.encode({ index }).finish();
    expect(messages.ReadMeta.decode(bytes).index).toBe(index);
    const theirs = root.lookupType("ReadMeta").encode({ index }).finish();
    expect(Buffer.from(bytes).toString("hex")).toBe(Buffer.from(theirs).toString("hex"));
  }
});

function mutated(type: protobuf.Type, random: Random): Uint8Array {
  if (random.chance(0.3)) {
    return Uint8Array.from({ length: random.below(60) }, () => random.below(256));
  }
  const bytes = type.encode(type.create(randomMessage(type, random, 0))).finish();
  const copy = Uint8Array.from(bytes.subarray(0, random.below(bytes.length + 1)));
  if (copy.length > 0) copy[random.below(copy.length)] = random.below(256);
  return copy;
}

function randomMessage(type: protobuf.Type, random: Random, depth: number): object {
  const value: Record<string, unknown> = {};
  const chosen = new Map(type.oneofsArray.map((one) => [one.name, random.pick(one.oneof)]));
  for (const field of type.fieldsArray) {
    if (field.partOf ? chosen.get(field.partOf.name) !== field.name : random.chance(0.4)) continue;
    if (field.resolvedType instanceof protobuf.Type && depth > 2) continue;
    const one = () => randomValue(field, random, depth);
    if (field instanceof protobuf.MapField) {
      value[field.name] = Object.fromEntries(
        Array.from({ length: 1 + random.below(3) }, (_, i) => [`key ${i} ä`, one()]),
      );
    } else if (field.repeated) {
      value[field.name] = Array.from({ length: 1 + random.below(3) }, one);
    } else value[field.name] = one();
  }
  return value;
}

function randomValue(field: protobuf.Field, random: Random, depth: number): unknown {
  if (field.resolvedType instanceof protobuf.Type) {
    return randomMessage(field.resolvedType, random, depth + 1);
  }
  switch (field.type) {
    case "string":
      return random.pick(["x", "grün", "a".repeat(200), "日本語"]);
    case "bytes":
      return Buffer.from(Array.from({ length: 1 + random.below(300) }, () => random.below(256)));
    case "bool":
      return true;
    case "double":
      return random.fraction() + 1;
    case "int32":
      return random.below(2 ** 31) - 2 ** 30 || 1;
    case "uint64":
      return random.uint32() * random.pick([1, 1000]) + 1;
    default:
      return field.resolvedType ? 1 + random.below(2) : random.uint32() || 1;
  }
}
