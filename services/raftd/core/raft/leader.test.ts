import { expect, test } from "bun:test";
import { configurationEntry, kinds, only, restoredFrom, servers, Solo } from "./solo-stage.ts";

test("a write that waits for room on a full disk costs no leadership, and reads go on", () => {
  const solo = new Solo(restoredFrom([configurationEntry(1, 1, servers("a", "b", "c"))]));
  solo.lead();
  solo.isDiskQuick = false;
  solo.propose(1);
  solo.input({ kind: "disk-full-changed", isFull: true });
  for (let t = 0; t < 20_000; t += 50) {
    solo.tick(50);
    solo.confirm("b");
  }
  expect(solo.status.role).toBe("leader");
  expect(kinds(solo.seen)).not.toContain("b timeout-now");
  expect(solo.status.leaseUntilMs).toBeGreaterThan(solo.nowMs);
  expect(only(solo.propose(2), "refuse-proposals")[0]).toMatchObject({ refusal: "disk-full" });
  solo.input({ kind: "disk-full-changed", isFull: false });
  expect(kinds(solo.propose(3))).toContain("answer-proposals");
});
