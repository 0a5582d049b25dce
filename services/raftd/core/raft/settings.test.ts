import { expect, test } from "bun:test";
import { defaultSettings, scaledSettings, validSettings } from "./settings.ts";

test("raft_multiplier stretches the protocol's times and nothing else", () => {
  const five = scaledSettings(5);
  expect(five.heartbeatMs).toBe(250);
  expect(five.electionMinMs).toBe(750);
  expect(five.electionMaxMs).toBe(1_500);
  expect(five.appendEntriesMax).toBe(defaultSettings.appendEntriesMax);
  expect(five.diskStallMs).toBe(5_000);
});

test.each([
  [{ heartbeatMs: 100 }, "at least two heartbeats"],
  [{ electionMaxMs: 150 }, "electionMaxMs above"],
  [{ leaseMarginMs: 150 }, "lease margin"],
  [{ heartbeatMs: Number.NaN }, "heartbeatMs"],
  [{ appendEntriesMax: 0 }, "appendEntriesMax of at least 1"],
  [{ inflightBytesMax: 10 }, "inflightBytesMax"],
])("refuses %j", (over, why) => {
  expect(() => validSettings({ ...defaultSettings, ...over })).toThrow(why);
});
