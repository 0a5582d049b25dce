import { expect, test } from "bun:test";
import { decode, encode } from "dns-packet";
import fc from "fast-check";
import type { Query, Reply } from "../message.ts";
import { type ResourceRecord, typeCodes } from "../records/records.ts";
import { decodeQuery } from "./query.ts";
import { repackReply } from "./repack.ts";
import { encodeReply, replySize } from "./reply.ts";
import { decodeAnswers, encodeQuestion, isReplyTo } from "./upstream.ts";

const label = fc.string({
  unit: fc.constantFrom(..."abcXYZ019-_".split("")),
  minLength: 1,
  maxLength: 12,
});
const name = fc.array(label, { minLength: 1, maxLength: 5 })
  .map((labels) => labels.join(".") + ".consul.");
const head = { owner: name, ttlSeconds: fc.nat(100_000) };
const bytesOf = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const uint16 = fc.nat(0xffff);

const record: fc.Arbitrary<ResourceRecord> = fc.oneof(
  fc.record({ kind: fc.constant("A" as const), ...head, bytes: bytesOf(4) }),
  fc.record({ kind: fc.constant("AAAA" as const), ...head, bytes: bytesOf(16) }),
  fc.record({ kind: fc.constantFrom("CNAME", "NS", "PTR"), ...head, target: name }),
  fc.record({
    ...{ kind: fc.constant("SRV" as const), ...head, target: name },
    ...{ priority: uint16, weight: uint16, port: uint16 },
  }),
  fc.record({ kind: fc.constant("TXT" as const), ...head, bytes: fc.uint8Array() }),
) as fc.Arbitrary<ResourceRecord>;

const section = fc.array(record, { maxLength: 12 });
const reply: fc.Arbitrary<Reply> = fc.record({
  rcode: fc.constantFrom(0, 2, 3),
  authoritative: fc.boolean(),
  truncated: fc.boolean(),
  answer: section,
  authority: section,
  additional: section,
  edns: fc.constantFrom(undefined, { udpSize: 1232, subnet: undefined, scopePrefix: 0 }),
});

function query(question: string): Query {
  return {
    id: 4711,
    opcode: 0,
    recursionDesired: true,
    checkingDisabled: false,
    question: { name: question, type: 1, class: 1 },
    edns: undefined,
  };
}

test("what is encoded reads the same to another implementation, and its size is as told", () => {
  fc.assert(fc.property(name, reply, fc.boolean(), (asked, sent, compresses) => {
    const out = new Uint8Array(0x10000);
    const form = { compresses, recursionAvailable: false };
    const size = encodeReply(query(asked), sent, form, out)!;
    expect(replySize(query(asked), sent, compresses)).toBe(size);
    const read = decode(Buffer.from(out.subarray(0, size)));
    expect(read.id).toBe(4711);
    expect(read.questions![0]!.name + ".").toBe(asked);
    expect(read.flag_aa).toBe(sent.authoritative);
    const shown = [...read.answers!, ...read.authorities!, ...read.additionals!]
      .filter(({ type }) => type !== "OPT").map((row) => `${row.name}. ${row.type}`);
    const all = [...sent.answer, ...sent.authority, ...sent.additional];
    expect(shown).toEqual(all.map(({ owner, kind }) => `${owner} ${kind}`));
    const targets = read.answers!.flatMap((row) =>
      row.type === "SRV" ? [row.data.target + "."] : []
    );
    expect(targets).toEqual(sent.answer.flatMap((row) => row.kind === "SRV" ? [row.target] : []));
  }));
});

test("compression never makes a message longer", () => {
  fc.assert(fc.property(name, reply, (asked, sent) => {
    expect(replySize(query(asked), sent, true)).toBeLessThanOrEqual(
      replySize(query(asked), sent, false),
    );
  }));
});

test("what has no wire form is not sent: long texts, long labels, empty labels", () => {
  const out = new Uint8Array(0x10000);
  const form = { compresses: true, recursionAvailable: false };
  const empty = { authority: [], additional: [], edns: undefined };
  const send = (one: ResourceRecord) =>
    encodeReply(
      query("a.consul."),
      { rcode: 0, authoritative: true, truncated: false, answer: [one], ...empty },
      form,
      out,
    );
  const owner = "a.consul.";
  expect(send({ kind: "TXT", owner, ttlSeconds: 0, bytes: new Uint8Array(255) })).toBeNumber();
  expect(send({ kind: "TXT", owner, ttlSeconds: 0, bytes: new Uint8Array(256) })).toBeUndefined();
  for (const target of [`${"x".repeat(64)}.consul.`, "a..consul.", `${"abcdefg.".repeat(32)}`]) {
    expect(send({ kind: "CNAME", owner, ttlSeconds: 0, target })).toBeUndefined();
  }
});

test("a question reads as another implementation wrote it", () => {
  const bytes = encode({
    type: "query",
    id: 7,
    flags: 0x0110,
    questions: [{ type: "SRV", name: "Web.service.consul" }],
    additionals: [{
      ...{ type: "OPT", name: ".", udpPayloadSize: 1232, flags: 0, extendedRcode: 0 },
      ...{ ednsVersion: 0, flag_do: true },
      options: [{ code: "CLIENT_SUBNET", ip: "198.18.0.0", sourcePrefixLength: 15 }],
    } as never],
  });
  expect(decodeQuery(bytes)).toEqual({
    kind: "query",
    query: {
      ...{ id: 7, opcode: 0, recursionDesired: true, checkingDisabled: true },
      question: { name: "Web.service.consul.", type: 33, class: 1 },
      edns: {
        udpSize: 1232,
        subnet: { family: 1, sourcePrefix: 15, address: Uint8Array.of(198, 18) },
      },
    },
  });
});

test("any bytes are a question, refused or dropped", () => {
  const kinds = new Set<string>();
  const plain = encodeQuestion(1, "web.service.consul.", typeCodes.A)!;
  const change = fc.record({ at: fc.nat(60), value: fc.nat(255), size: fc.nat(60) });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.array(change), (noise, changes) => {
      kinds.add(decodeQuery(noise).kind);
      const damaged = new Uint8Array(plain);
      for (const { at, value } of changes) damaged[at] = value;
      kinds.add(decodeQuery(damaged.subarray(0, changes[0]?.size ?? 60)).kind);
    }),
    { numRuns: 2000 },
  );
  expect([...kinds].sort()).toEqual(["drop", "query", "refuse"]);
});

test("a name that points to itself is refused", () => {
  const bytes = Uint8Array.of(0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1);
  expect(decodeQuery(bytes)).toEqual({ kind: "refuse", rcode: "FORMERR" });
});

test("only the reply to our own question counts", () => {
  const question = encodeQuestion(9, "www.example.com.", typeCodes.A)!;
  const answers = [{ type: "A" as const, name: "WWW.example.com", data: "192.0.2.1", ttl: 5 }];
  const reply = (id: number, asked: string) =>
    encode({ type: "response", id, questions: [{ type: "A", name: asked }], answers });
  expect(isReplyTo(reply(9, "WWW.example.com"), question)).toBe(true);
  expect(isReplyTo(reply(10, "www.example.com"), question)).toBe(false);
  expect(isReplyTo(reply(9, "evil.example.com"), question)).toBe(false);
  expect(isReplyTo(question, question)).toBe(false);
  expect(decodeAnswers(reply(9, "www.example.com"))).toEqual([
    { kind: "A", owner: "WWW.example.com.", ttlSeconds: 5, bytes: Uint8Array.of(192, 0, 2, 1) },
  ]);
});

test("a reply written anew reads as before; one that is not understood stays as it was", () => {
  const mail = { exchange: "mail.example.com", preference: 5 };
  const bytes = encode({
    type: "response",
    id: 3,
    questions: [{ type: "MX", name: "example.com" }],
    answers: [{ type: "MX", name: "example.com", ttl: 60, data: mail }],
    additionals: [{ type: "A", name: "mail.example.com", ttl: 60, data: "192.0.2.9" }],
  });
  const repacked = repackReply(bytes, true);
  expect(repacked.length).toBeLessThan(bytes.length);
  expect(decode(Buffer.from(repacked)).answers).toEqual(decode(bytes).answers);
  const cut = bytes.subarray(0, bytes.length - 3);
  expect(repackReply(cut, true)).toBe(cut);
});
