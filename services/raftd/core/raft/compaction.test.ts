import { expect, test } from "bun:test";
import { configurationEntry, only, restoredFrom, servers, Solo } from "./solo-stage.ts";

const mib = 1024 * 1024;

/** A leader of three with so many committed entries of 1 MiB after its first two. */
function leader(count: number, peers: readonly string[] = ["b", "c"]): Solo {
  const members = servers("a", "b", "c");
  const solo = new Solo(restoredFrom([configurationEntry(1, 1, members)]), {
    uncommittedBytesMax: 1_000 * mib,
  });
  solo.lead();
  for (let id = 1; id <= count; id++) {
    solo.propose(id, new Uint8Array(mib));
    for (const peer of peers) solo.confirm(peer);
  }
  solo.tick(50);
  for (const peer of peers) solo.confirm(peer);
  return solo;
}

/** Where the log begins after the state up to its end is durable. */
function baseAfter(solo: Solo, stateBytes?: number): number {
  const { commitIndex } = solo.status;
  solo.input({ kind: "applied", index: commitIndex });
  const effects = solo.input({ kind: "snapshot-taken", index: commitIndex, stateBytes });
  return only(effects, "compact-log")[0]?.throughIndex ?? 0;
}

test("few large entries are no reason to keep more than a part of the state's weight", () => {
  // 102 entries, and the trail by count is 10,240.
  expect(baseAfter(leader(100))).toBe(0);
  expect(baseAfter(leader(100), 80 * mib)).toBe(102 - 9);
  expect(baseAfter(leader(100), 8)).toBe(102);
});

test("entries that a peer still needs stay, but not for ever", () => {
  // c was heard at the election only, and b has all: nobody waits for one that is away.
  const away = leader(100, ["b"]);
  away.tick(50);
  away.confirm("b");
  away.tick(400);
  away.confirm("b");
  expect(baseAfter(away, 8 * mib)).toBeGreaterThan(95);

  const slow = leader(20);
  const behind = slow.status.lastIndex;
  for (let id = 100; id < 120; id++) {
    slow.propose(id, new Uint8Array(mib));
    slow.confirm("b");
  }
  hear(slow, "c", behind);
  expect(baseAfter(slow, 8 * mib)).toBe(behind);
  for (let id = 200; id < 240; id++) {
    slow.propose(id, new Uint8Array(mib));
    slow.confirm("b");
  }
  hear(slow, "c", behind);
  const base = baseAfter(slow, 8 * mib);
  expect(base).toBeGreaterThan(behind);
  expect(slow.status.lastIndex - base).toBeGreaterThan(25);
});

/** It answers, and has the log only up to there. */
function hear(solo: Solo, peer: string, matchIndex: number): void {
  const { term } = solo.status;
  solo.receive(peer, {
    kind: "heartbeat-answer",
    term,
    round: 1,
    sentMs: solo.nowMs,
    promiseMs: 150,
    verifiedIndex: matchIndex,
    matchIndex,
  });
}
