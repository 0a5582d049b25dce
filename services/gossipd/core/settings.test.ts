// The three profiles against memberlist's and Serf's published defaults (spec: gossip §3.10, §4.3).
import { expect, test } from "bun:test";
import { lanProfile, localProfile, type Profile, wanProfile } from "./settings.ts";

const rows: [setting: keyof Profile, lan: number, wan: number, local: number][] = [
  ["tcpTimeoutMs", 10_000, 30_000, 1_000],
  ["indirectChecks", 3, 3, 1],
  ["retransmitMult", 4, 4, 2],
  ["suspicionMult", 4, 6, 3],
  ["suspicionMaxTimeoutMult", 6, 6, 6],
  ["pushPullIntervalMs", 30_000, 60_000, 15_000],
  ["probeIntervalMs", 1_000, 5_000, 1_000],
  ["probeTimeoutMs", 500, 3_000, 200],
  ["awarenessMax", 8, 8, 8],
  ["gossipIntervalMs", 200, 500, 100],
  ["gossipNodes", 3, 4, 3],
  ["gossipToTheDeadMs", 30_000, 60_000, 15_000],
  ["packetBytesMax", 1_400, 1_400, 1_400],
  ["deadNodeReclaimMs", 0, 0, 0],
  ["eventBufferSlots", 512, 512, 512],
  ["queryBufferSlots", 512, 512, 512],
  ["broadcastTimeoutMs", 5_000, 5_000, 5_000],
  ["leavePropagateDelayMs", 1_000, 1_000, 1_000],
  ["reapIntervalMs", 15_000, 15_000, 15_000],
  ["recentIntentTimeoutMs", 300_000, 300_000, 300_000],
  ["reconnectIntervalMs", 30_000, 30_000, 30_000],
  ["reconnectTimeoutMs", 86_400_000, 86_400_000, 86_400_000],
  ["tombstoneTimeoutMs", 86_400_000, 86_400_000, 86_400_000],
  ["queueDepthMax", 4_096, 4_096, 4_096],
  ["queueCheckIntervalMs", 30_000, 30_000, 30_000],
  ["userEventBytesMax", 512, 512, 512],
  ["queryBytesMax", 1_024, 1_024, 1_024],
  ["queryResponseBytesMax", 1_024, 1_024, 1_024],
  ["queryTimeoutMult", 16, 16, 16],
];

for (const [setting, ...expected] of rows) {
  test(setting, () => {
    const values = [lanProfile, wanProfile, localProfile].map((profile) => profile[setting]);
    expect(values).toEqual(expected);
  });
}
