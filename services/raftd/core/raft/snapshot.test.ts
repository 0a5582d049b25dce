import { expect, test } from "bun:test";
import type { SnapshotChunk } from "./messages.ts";
import {
  command,
  configurationEntry,
  kinds,
  only,
  restoredFrom,
  servers,
  Solo,
} from "./solo-stage.ts";

const configuration = { index: 1, servers: servers("a", "b", "c") };

function follower(): Solo {
  return new Solo(restoredFrom([configurationEntry(1, 1, servers("a", "b", "c")), command(2, 1)]));
}

function piece(over: Partial<SnapshotChunk> = {}): SnapshotChunk {
  return {
    kind: "snapshot-chunk",
    term: 4,
    transfer: 8,
    snapshot: { index: 50, term: 3, configuration },
    offset: 0,
    totalBytes: 20,
    isLast: false,
    bytes: new Uint8Array(10),
    sentMs: 0,
    ...over,
  };
}

/** It has the first piece, and would go on at offset 10. */
function begun(): Solo {
  const solo = follower();
  solo.receive("b", piece());
  solo.input({ kind: "snapshot-written", from: "b", transfer: 8, nextOffset: 10 });
  return solo;
}

const next = { offset: 10, isLast: true };

test("the next piece of the same snapshot goes on with it", () => {
  expect(only(begun().receive("b", piece(next)), "write-snapshot")).toMatchObject([{ offset: 10 }]);
});

test("a piece of another snapshot is not put behind what came, whatever its number", () => {
  const others = [
    { snapshot: { index: 50, term: 4, configuration } },
    { snapshot: { index: 51, term: 3, configuration } },
    { transfer: 9 },
  ];
  for (const other of others) {
    const solo = begun();
    const effects = solo.receive("b", piece({ ...next, ...other }));
    expect(only(effects, "write-snapshot")).toEqual([]);
    // It is asked for from the start.
    const answers = only(effects, "send").map(({ message }) => message);
    expect(answers).toMatchObject([{ kind: "snapshot-answer", nextOffset: 0, matchIndex: 0 }]);
    expect(kinds(solo.receive("b", piece(other)))).toContain("write-snapshot");
  }
});
