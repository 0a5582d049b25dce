import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import protobuf from "protobufjs";
import { Command, KvVerb, LogRecord } from "#proto/messages.js";
import type { CommandInput } from "#proto/messages.js";
import { FinalError } from "#shared/final-error.ts";
import { announcedKinds, commandFault, faultText, isAnnounced, kindName } from "./command-kinds.ts";
import {
  commandKinds,
  firstReleaseKinds,
  laterParts,
  messageForms,
  verbCounts,
} from "./command-schema.ts";
import { Store } from "./store.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const encoded = (command: CommandInput) => Command.encode(command).finish();
const put = { kv: { verb: KvVerb.KV_SET, key: bytes("a"), value: bytes("1") } };
/** Verbs that no release has. */
const verb = (number: number) => number as never;

/** A field that no release has, put behind what is there. */
function extended(message: Uint8Array, field: number): Uint8Array {
  return protobuf.Writer.create().raw!(message).uint32(field << 3 | 2).bytes(bytes("x")).finish();
}

function wrapped(field: number, message: Uint8Array): Uint8Array {
  return protobuf.Writer.create().uint32(field << 3 | 2).bytes(message).finish();
}

describe("the forms are those of proto/*.proto", () => {
  const root = new protobuf.Root();
  const protoDir = join(import.meta.dirname, "../../../proto");
  for (const name of readdirSync(protoDir)) {
    if (!name.endsWith(".proto") || name === "options.proto") continue;
    protobuf.parse(readFileSync(join(protoDir, name), "utf8"), root);
  }
  root.resolveAll();

  const typeName = (field: protobuf.Field) => {
    if (field instanceof protobuf.MapField) {
      return field.resolvedType === null ? "TextEntry" : "AddressEntry";
    }
    return field.resolvedType?.name;
  };

  /** Every message that a command can have in it. */
  const reached = new Map<string, protobuf.Type>();
  const reach = (type: protobuf.Type) => {
    if (reached.has(type.name)) return;
    reached.set(type.name, type);
    for (const { resolvedType } of type.fieldsArray) {
      if (resolvedType instanceof protobuf.Type) reach(resolvedType);
    }
  };
  reach(root.lookupType("curia.Command"));

  // A field that is missing here would be dropped by servers of the release before: add it, with a
  // number of its own in laterParts (or, for Command, in commandKinds).
  test.each([...reached])("%s", (name, type) => {
    const form = messageForms[name]!;
    const numbers = type.fieldsArray.map(({ id }) => id).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: form.fieldCount }, (_, n) => n + 1));
    const types = type.fieldsArray.flatMap((field) => {
      const target = typeName(field);
      return target === undefined ? [] : [[field.id, target] as const];
    });
    expect(form.types).toEqual(Object.fromEntries(types));
  });

  test("nothing else has a form", () => {
    const entries = ["TextEntry", "AddressEntry"];
    expect(Object.keys(messageForms).sort()).toEqual([...reached.keys(), ...entries].sort());
  });

  test.each(Object.entries(verbCounts))("%s has %d verbs", (name, count) => {
    const { values } = root.lookupEnum(`curia.${name}`);
    expect(Object.values(values).sort((a, b) => a - b))
      .toEqual(Array.from({ length: count }, (_, verb) => verb));
  });

  test("every command has a kind, and every later part one that is named", () => {
    const { fieldCount } = messageForms["Command"]!;
    for (let number = 1; number <= fieldCount; number++) {
      expect(commandKinds.has(number)).toBe(true);
    }
    for (const kind of Object.values(laterParts)) {
      expect(kind).toBeGreaterThan(63);
      expect(commandKinds.has(kind)).toBe(true);
    }
  });
});

describe("what may enter the log", () => {
  test.each<[string, CommandInput]>([
    ["a key", put],
    ["an empty key", { kv: {} }],
    ["a registration", {
      register: {
        node: { node: "n", meta: { a: "b" } },
        service: { id: "s", taggedAddresses: { lan: { address: "1.2.3.4", port: 80 } } },
        checks: [{ checkId: "c" }],
      },
    }],
    ["a transaction", {
      txn: { operations: [put, { node: { verb: 1, node: { node: "n" } } }, {}] },
    }],
    ["a batch", { batch: { commands: [put, { reapTombstones: { throughIndex: 2 ** 50 } }] } }],
    ["coordinates", { coordinates: { coordinates: [{ node: "n", vec: [0.5, -1], error: 1.5 }] } }],
    ["a document", { document: { verb: 1, document: { kind: "k", id: "i" }, index: 7 } }],
    ["a piece", { restore: { id: "r", offset: 5, bytes: new Uint8Array(300) } }],
  ])("%s", (_, command) => {
    expect(commandFault(encoded(command))).toBeUndefined();
  });

  test.each<[string, Uint8Array, string]>([
    ["nothing", new Uint8Array(0), "a command of no kind"],
    ["a kind to come", wrapped(12, bytes("")), "field 12 of Command"],
    ["a field to come", wrapped(1, extended(bytes(""), 7)), "field 7 of KvCommand"],
    ["a verb to come", encoded({ kv: { verb: verb(13) } }), "KvVerb 13"],
    [
      "a verb to come in a transaction",
      encoded({ txn: { operations: [{ node: { verb: verb(5), node: {} } }] } }),
      "CatalogVerb 5",
    ],
    [
      "a kind to come in a batch",
      wrapped(9, wrapped(1, wrapped(12, bytes("")))),
      "field 12 of Command",
    ],
    ["a batch with nothing", encoded({ batch: { commands: [{}] } }), "a command of no kind"],
    [
      "a document without one",
      encoded({ document: { verb: 0 } }),
      "DocumentCommand without field 2",
    ],
    ["a node without one", encoded({ txn: { operations: [{ node: {} }] } }), "without field 2"],
    ["text instead of a message", Uint8Array.of(0x08, 0x01), "bytes that are no Command"],
    ["half a command", encoded(put).subarray(0, 5), "bytes that are no"],
    ["a group", Uint8Array.of(0x0b), "bytes that are no Command"],
  ])("not %s", (_, command, why) => {
    expect(faultText(commandFault(command)!)).toContain(why);
  });

  test("not a batch of batches without end", () => {
    let command = encoded(put);
    for (let depth = 0; depth < 2_000; depth++) command = wrapped(9, wrapped(1, command));
    expect(faultText(commandFault(command)!)).toContain("nested too deeply");
  });

  test("not a kind that is barred, wherever it is", () => {
    const isAllowed = (kind: number) => kind !== 1;
    expect(commandFault(encoded(put), isAllowed)).toEqual({ kind: "barred", number: 1 });
    const batch = encoded({ batch: { commands: [{ restore: {} }, put] } });
    expect(commandFault(batch, isAllowed)).toEqual({ kind: "barred", number: 1 });
    expect(commandFault(encoded({ restore: {} }), isAllowed)).toBeUndefined();
  });
});

test("what is announced is read as it was meant", () => {
  const own = announcedKinds();
  for (const kind of commandKinds.keys()) expect(isAnnounced(kind, own)).toBe(true);
  expect(isAnnounced(63, own)).toBe(false);
  expect(isAnnounced(64, (1n << 64n).toString(16))).toBe(true);
  for (const word of [undefined, "", "no number", "f".repeat(500)]) {
    expect(isAnnounced(firstReleaseKinds, word)).toBe(true);
    expect(isAnnounced(firstReleaseKinds + 1, word)).toBe(false);
  }
  expect(kindName(11)).toBe("restore");
});

test("an entry of an unknown kind ends the server and changes nothing", () => {
  const store = new Store(":memory:");
  const entry = (index: number, command: Uint8Array) => ({
    index,
    term: 1,
    kind: "command" as const,
    stampMs: 1,
    bytes: LogRecord.encode({ client: "c", sequence: index, floor: 1, command }).finish(),
  });
  store.apply([entry(1, encoded(put))]);
  const hash = store.contentHash();
  const unknown = [
    wrapped(12, bytes("")),
    encoded({ kv: { verb: verb(13), key: bytes("a") } }),
    encoded({ txn: { operations: [put, { kv: { verb: verb(99) } }] } }),
  ];
  for (const command of unknown) {
    const entries = [entry(2, encoded({ kv: { verb: KvVerb.KV_DELETE, key: bytes("a") } }))];
    expect(() => store.apply([...entries, entry(3, command)])).toThrow(FinalError);
    expect(() => store.apply([...entries, entry(3, command)])).toThrow("by a newer release");
    expect(store.applied().index).toBe(1);
    expect(store.contentHash()).toBe(hash);
  }
  store.close();
});
