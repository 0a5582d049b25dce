import { expect, test } from "bun:test";
import type { Entry, Message } from "../core/raft/messages.ts";
import { ownBuffer, packEntries, unpackEntries } from "./entry-codec.ts";
import { decodeMessage, encodeMessage } from "./message-codec.ts";

const entry: Entry = {
  index: 7,
  term: 3,
  kind: "command",
  stampMs: 1_700_000_000_000,
  origin: "server-a",
  id: 42,
  bytes: Uint8Array.of(1, 2, 3),
};
const configuration = {
  index: 5,
  servers: [
    { id: "a", address: "127.0.0.1:8300", suffrage: "voter" as const },
    { id: "b", address: "127.0.0.2:8300", suffrage: "nonvoter" as const },
  ],
};
const heard = { term: 3, sentMs: 12.5, promiseMs: 142.25 };

const messages: Message[] = [
  { kind: "pre-vote", term: 4, lastIndex: 9, lastTerm: 3 },
  { kind: "pre-vote-answer", term: 3, askedTerm: 4, granted: true },
  { kind: "vote", term: 4, lastIndex: 9, lastTerm: 3, transfer: true },
  { kind: "vote-answer", term: 4, granted: false },
  {
    kind: "append",
    term: 3,
    prevIndex: 6,
    prevTerm: 2,
    commitIndex: 6,
    sentMs: 1.5,
    entries: [entry, {
      ...entry,
      index: 8,
      kind: "no-op",
      origin: "",
      id: 0,
      bytes: new Uint8Array(),
    }],
  },
  {
    ...heard,
    kind: "append-answer",
    accepted: true,
    matchIndex: 8,
    prevIndex: 6,
    conflictTerm: 1,
    conflictIndex: 2,
  },
  { kind: "heartbeat", term: 3, round: 11, commitIndex: 8, sentMs: 2 },
  { ...heard, kind: "heartbeat-answer", round: 11, verifiedIndex: 8, matchIndex: 7 },
  { kind: "timeout-now", term: 3, round: 12 },
  {
    kind: "snapshot-chunk",
    term: 3,
    transfer: 1,
    snapshot: { index: 100, term: 2, configuration },
    offset: 512,
    totalBytes: 1024,
    isLast: true,
    bytes: Uint8Array.of(9),
    sentMs: 3,
  },
  { ...heard, kind: "snapshot-answer", transfer: 1, nextOffset: 513, matchIndex: 0 },
  {
    kind: "propose",
    batch: 2,
    proposals: [{ id: 1, kind: "command", bytes: Uint8Array.of(5) }, {
      id: 2,
      kind: "barrier",
      bytes: new Uint8Array(),
    }],
  },
  { kind: "propose-answer", batch: 2, refusal: "not-leader", term: 3, firstIndex: 9, leader: "a" },
  { kind: "read-index", batch: 3, mode: "consistent" },
  { kind: "read-index-answer", batch: 3, refusal: "", index: 9, leader: "a" },
];

for (const message of messages) {
  test(`${message.kind} comes back as it was`, () => {
    expect(decodeMessage(encodeMessage(message))).toMatchObject(message);
  });
}

test("garbage is refused", () => {
  expect(() => decodeMessage(Uint8Array.of(0x08, 99))).toThrow("message kind");
  expect(() => decodeMessage(Uint8Array.of(0xff, 0xff, 0xff))).toThrow();
});

test("a transfer takes no bytes of others", () => {
  const pooled = Buffer.from(Buffer.alloc(64).buffer, 8, 16);
  const own = ownBuffer(pooled);
  expect(own.buffer).not.toBe(pooled.buffer);
  expect(own.buffer.byteLength).toBe(16);
});

test("packed entries come back from a buffer of their own", () => {
  const packed = packEntries([entry, { ...entry, index: 8 }]);
  expect(packed.byteLength).toBe(packed.buffer.byteLength);
  expect(unpackEntries(packed)).toMatchObject([entry, { ...entry, index: 8 }]);
});
