import { describe, expect, test } from "bun:test";
import type { Configuration, Message, Server } from "./messages.ts";
import {
  command,
  configurationEntry,
  kinds,
  only,
  restoredFrom,
  servers,
  Solo,
} from "./solo-stage.ts";

const threeServers = () => restoredFrom([configurationEntry(1, 1, servers("a", "b", "c"))]);

describe("a server alone", () => {
  test("bootstraps, elects itself at once, and commits only what its disk has", () => {
    const solo = new Solo(restoredFrom([]));
    const configuration: Configuration = { index: 1, servers: servers("a") };
    solo.input({ kind: "bootstrap-requested", id: 1, configuration });
    solo.tick(0);
    expect(solo.status).toMatchObject({ role: "leader", commitIndex: 2 });
    solo.isDiskQuick = false;
    const [write] = only(solo.propose(7), "persist");
    expect(solo.status.commitIndex).toBe(2);
    const done = solo.input({ kind: "persisted", seq: write!.seq });
    expect(only(done, "commit")).toEqual([{ kind: "commit", index: 3 }]);
  });

  test("does not stand before its first entry is on disk", () => {
    const solo = new Solo(restoredFrom([]));
    solo.isDiskQuick = false;
    const configuration: Configuration = { index: 1, servers: servers("a") };
    const [write] = only(
      solo.input({ kind: "bootstrap-requested", id: 1, configuration }),
      "persist",
    );
    expect(only(solo.tick(400), "persist")).toEqual([]);
    solo.input({ kind: "persisted", seq: write!.seq });
    expect(only(solo.tick(0), "persist")[0]).toMatchObject({
      hardState: { term: 2, votedFor: "a" },
    });
  });

  test("that has a log refuses to bootstrap", () => {
    const solo = new Solo(threeServers());
    const configuration: Configuration = { index: 1, servers: servers("a") };
    const [no] = only(
      solo.input({ kind: "bootstrap-requested", id: 1, configuration }),
      "refuse-proposals",
    );
    expect(no).toMatchObject({
      refusal: "invalid",
      message: "bootstrap only works on new clusters",
    });
  });

  test("that crashed between its term and its first entry is still blank", () => {
    const solo = new Solo(restoredFrom([], { hardState: { term: 1, votedFor: "" } }));
    const configuration: Configuration = { index: 1, servers: servers("a") };
    const effects = solo.input({ kind: "bootstrap-requested", id: 1, configuration });
    expect(only(effects, "answer-proposals")).toHaveLength(1);
  });
});

describe("votes", () => {
  const vote = (term: number, transfer = false): Message => ({
    kind: "vote",
    term,
    lastIndex: 9,
    lastTerm: 9,
    transfer,
  });

  test("a restarted voter helps nobody within the shortest election timeout", () => {
    const solo = new Solo(threeServers());
    solo.nowMs = 100;
    const [no] = only(solo.receive("b", vote(5)), "send");
    expect(no!.message).toMatchObject({ kind: "vote-answer", granted: false, term: 1 });
    solo.nowMs = 151;
    const [yes] = only(solo.receive("b", vote(5)), "send");
    expect(yes!.message).toMatchObject({ granted: true, term: 5 });
  });

  test("a vote leaves only when it is on disk, and a repeated question gets it again", () => {
    const solo = new Solo(threeServers());
    solo.nowMs = 200;
    solo.isDiskQuick = false;
    const asked = solo.receive("b", vote(5));
    expect(kinds(asked)).toEqual(["persist", "publish-role"]);
    const seq = only(asked, "persist")[0]!.seq;
    expect(kinds(solo.input({ kind: "persisted", seq }))).toEqual(["b vote-answer"]);
    expect(kinds(solo.receive("b", vote(5)))).toEqual(["b vote-answer"]);
    const [other] = only(solo.receive("c", vote(5)), "send");
    expect(other!.message).toMatchObject({ granted: false });
  });

  test("a damaged voter votes only for a log as long as its own once was", () => {
    const entries = [configurationEntry(1, 1, servers("a", "b", "c")), command(2, 1)];
    const solo = new Solo(restoredFrom(entries, { promised: { index: 4, term: 3 } }));
    solo.nowMs = 200;
    const answer = (lastIndex: number, lastTerm: number, term: number) => {
      const effects = solo.receive("b", {
        kind: "vote",
        term,
        lastIndex,
        lastTerm,
        transfer: false,
      });
      return (only(effects, "send")[0]!.message as { granted: boolean }).granted;
    };
    expect(answer(3, 3, 5)).toBe(false);
    expect(answer(4, 3, 6)).toBe(true);
    solo.nowMs = solo.raft.deadlineMs;
    expect(kinds(solo.tick(0))).not.toContain("b pre-vote");
  });

  test("a voter that an uncommitted change demotes still stands", () => {
    const demoted: Server[] = [{ id: "a", address: "a:8300", suffrage: "nonvoter" }];
    const entries = [
      configurationEntry(1, 1, servers("a", "b")),
      configurationEntry(2, 1, [...demoted, ...servers("b")]),
    ];
    const solo = new Solo(restoredFrom(entries, { applied: { index: 1, term: 1 } }));
    expect(kinds(solo.tick(solo.raft.deadlineMs))).toContain("b pre-vote");
  });

  test("even if it joined later and its state knows nothing of that yet", () => {
    const entries = [
      configurationEntry(1, 1, servers("b")),
      configurationEntry(2, 1, servers("a", "b")),
      configurationEntry(3, 1, servers("b")),
    ];
    const solo = new Solo(restoredFrom(entries));
    expect(kinds(solo.tick(solo.raft.deadlineMs))).toContain("b pre-vote");
  });
});

describe("the lease", () => {
  test("lasts as long as a majority promised, less drift and margin, from the sending", () => {
    const solo = new Solo(threeServers());
    solo.lead();
    expect(solo.status.leaseUntilMs - solo.nowMs).toBeCloseTo(150 * 0.95 - 40);
  });

  test("ends on a late tick, and old answers do not bring it back", () => {
    const solo = new Solo(threeServers());
    solo.lead();
    const sentMs = solo.nowMs;
    const effects = solo.tick(101);
    expect(only(effects, "publish-lease")).toEqual([{ kind: "publish-lease", untilMs: 0 }]);
    const { term } = solo.status;
    const facts = { term, round: 1, promiseMs: 10_000, verifiedIndex: 2, matchIndex: 2 };
    solo.receive("b", { kind: "heartbeat-answer", sentMs, ...facts });
    expect(solo.status.leaseUntilMs).toBe(0);
    solo.confirm("b");
    expect(solo.status.leaseUntilMs).toBeGreaterThan(0);
  });

  test("ends when the calendar jumps against the monotonic clock", () => {
    const solo = new Solo(threeServers());
    solo.lead();
    solo.nowMs += 10;
    const effects = solo.input({ kind: "timer-fired", wallMs: 1_000_000 + solo.nowMs + 5_000 });
    expect(only(effects, "publish-lease")).toEqual([{ kind: "publish-lease", untilMs: 0 }]);
  });

  test("does not come back after a failed transfer before the target has disowned it", () => {
    const solo = new Solo(threeServers());
    solo.lead();
    expect(kinds(solo.input({ kind: "transfer-requested", id: 1, to: "b" })))
      .toContain("b timeout-now");
    for (let i = 0; i < 7; i++) {
      solo.tick(51);
      solo.confirm("c");
    }
    expect(only(solo.seen, "answer-transfer")[0]).toMatchObject({ refusal: "not-ready" });
    expect(solo.status.leaseUntilMs).toBe(0);
    solo.confirm("b");
    expect(solo.status.leaseUntilMs).toBeGreaterThan(0);
  });
});

describe("trouble", () => {
  test("too many bytes that are not committed: overloaded, until they are", () => {
    const solo = new Solo(threeServers(), { uncommittedBytesMax: 1_000 });
    solo.lead();
    solo.propose(1, new Uint8Array(2_000));
    expect(only(solo.propose(2), "refuse-proposals")[0]).toMatchObject({ refusal: "overloaded" });
    solo.confirm("b");
    expect(kinds(solo.propose(3))).toContain("answer-proposals");
  });

  test("a full disk refuses writes on the leader and acknowledges nothing on a follower", () => {
    const solo = new Solo(threeServers());
    solo.lead();
    solo.input({ kind: "disk-full-changed", isFull: true });
    expect(only(solo.propose(1), "refuse-proposals")[0]).toMatchObject({ refusal: "disk-full" });
    const facts = { term: 9, prevIndex: 2, prevTerm: 2, commitIndex: 0, sentMs: 0 };
    const effects = solo.receive("b", { kind: "append", entries: [command(3, 9)], ...facts });
    expect(kinds(effects)).not.toContain("b append-answer");
    const beat = { kind: "heartbeat", term: 9, round: 1, commitIndex: 0, sentMs: 0 } as const;
    expect(kinds(solo.receive("b", beat))).toContain("b heartbeat-answer");
  });

  test("a disk that stalls costs no leadership for 5 s, then the leader hands over", () => {
    const solo = new Solo(threeServers());
    solo.lead();
    solo.isDiskQuick = false;
    solo.propose(1);
    const run = (ms: number) => {
      for (let t = 0; t < ms; t += 50) {
        solo.tick(50);
        solo.confirm("b");
      }
    };
    run(4_900);
    expect(kinds(solo.seen)).not.toContain("b timeout-now");
    run(300);
    expect(kinds(solo.seen)).toContain("b timeout-now");
  });

  test("a failed disk ends everything", () => {
    const solo = new Solo(threeServers());
    solo.lead();
    const effects = solo.input({ kind: "persist-failed", reason: "EIO" });
    expect(kinds(effects)).toContain("halt");
    expect(solo.propose(1)).toEqual([]);
  });

  test("no majority heard: the leader steps down and refuses who waits", () => {
    const solo = new Solo(threeServers());
    solo.lead();
    solo.input({ kind: "read-requested", ids: [5], mode: "consistent" });
    for (let i = 0; i < 15; i++) solo.tick(50);
    expect(solo.status.role).not.toBe("leader");
    expect(only(solo.seen, "refuse-reads")[0]).toMatchObject({ ids: [5], refusal: "not-leader" });
  });

  test("forwarded writes are lost with the link to the leader, reads may be asked again", () => {
    const solo = new Solo(threeServers());
    solo.receive("b", { kind: "heartbeat", term: 4, round: 1, commitIndex: 0, sentMs: 0 });
    solo.propose(1);
    solo.input({ kind: "read-requested", ids: [2], mode: "default" });
    const effects = solo.input({ kind: "peer-unreachable", peer: "b" });
    expect(only(effects, "refuse-proposals")[0]).toMatchObject({ ids: [1], refusal: "lost" });
    expect(only(effects, "refuse-reads")[0]).toMatchObject({ ids: [2], refusal: "not-leader" });
  });
});

test("a follower's refusal of an older term's heartbeat confirms nothing in the new term", () => {
  const follower = new Solo(threeServers());
  follower.receive("b", { kind: "heartbeat", term: 9, round: 1, commitIndex: 0, sentMs: 0 });
  const old = { kind: "heartbeat", term: 7, round: 126, commitIndex: 0, sentMs: 0 } as const;
  const [refusal] = only(follower.receive("b", old), "send");
  expect(refusal!.message).toMatchObject({ term: 9, round: 0 });

  const solo = new Solo(threeServers());
  solo.lead();
  const { term } = solo.status;
  solo.receive("b", { ...refusal!.message, term } as Message);
  solo.tick(200);
  const effects = solo.input({ kind: "read-requested", ids: [1], mode: "consistent" });
  expect(only(effects, "answer-reads")).toEqual([]);
});

test("a peer that answers while entries are read for it still gets the rest", () => {
  const solo = new Solo(threeServers(), { cacheEntriesMax: 1, appendEntriesMax: 1 });
  solo.lead();
  for (let id = 0; id < 20; id++) {
    solo.propose(id);
    solo.confirm("b");
  }
  const { term, lastIndex } = solo.status;
  const hint = { accepted: false, matchIndex: 0, conflictTerm: 0, sentMs: 0, promiseMs: 150 };
  const asked = solo.receive("c", {
    kind: "append-answer",
    term,
    prevIndex: 1,
    conflictIndex: 1,
    ...hint,
  });
  const read = only(asked, "read-log")[0] ?? only(solo.seen, "read-log").at(-1)!;
  const beat = { round: 1, sentMs: solo.nowMs, promiseMs: 150, verifiedIndex: 5, matchIndex: 5 };
  solo.receive("c", { kind: "heartbeat-answer", term, ...beat });
  const { fromIndex } = read;
  const entries = [command(fromIndex, 1)];
  const effects = solo.input({ kind: "log-read", peer: "c", fromIndex, entries });
  expect(kinds(effects).some((kind) => kind === "read-log" || kind === "c append")).toBe(true);
  expect(lastIndex).toBe(22);
});

test("a snapshot brings its stamp, and nothing is stamped before it", () => {
  const solo = new Solo(threeServers());
  const snapshot = {
    index: 50,
    term: 3,
    configuration: { index: 1, servers: servers("a", "b", "c") },
  };
  const piece = { offset: 0, totalBytes: 1, isLast: true, bytes: new Uint8Array(1), sentMs: 0 };
  solo.receive("b", { kind: "snapshot-chunk", term: 4, transfer: 8, snapshot, ...piece });
  solo.input({ kind: "snapshot-written", from: "b", transfer: 8, nextOffset: 1 });
  expect(kinds(solo.seen)).toContain("install-snapshot");
  const stampMs = 9_000_000;
  const done = solo.input({ kind: "snapshot-installed", from: "b", transfer: 8, stampMs });
  expect(only(done, "persist")[0]).toMatchObject({ reset: { index: 50, term: 3 } });
  expect(kinds(done)).toContain("b snapshot-answer");
  solo.lead();
  const written = only(solo.seen, "persist").flatMap((persist) => persist.entries);
  expect(written.at(-1)).toMatchObject({ index: 51, kind: "no-op", stampMs });
});

test("after a cut-off installation the old log is dropped at the next start", () => {
  const entries = [configurationEntry(1, 1, servers("a", "b", "c")), command(2, 1)];
  const applied = { index: 50, term: 3 };
  const hardState = { term: 4, votedFor: "" };
  const solo = new Solo(restoredFrom(entries, { applied, hardState }));
  expect(only(solo.seen, "persist")[0]).toMatchObject({ reset: applied });
  expect(solo.status).toMatchObject({ baseIndex: 50, lastIndex: 50, commitIndex: 50 });
});
