// The numbers of Raft and the relations that must hold between them (issue 4; dissertation ch. 3,
// 6 and 9).

import { CuriaError } from "#shared/errors.ts";

export interface RaftSettings {
  /** How often an idle leader is heard. */
  readonly heartbeatMs: number;
  /** A follower waits a random time in [electionMinMs, electionMaxMs) for a leader. The minimum is
   *  also what it promises: it helps no other leader within this time of the last heartbeat. */
  readonly electionMinMs: number;
  readonly electionMaxMs: number;
  /** Taken off a lease for what clocks and schedulers do. */
  readonly leaseMarginMs: number;
  /** How much faster one clock may run than another, as a fraction. */
  readonly clockDriftMax: number;
  /** A step between the calendar and the monotonic clock from which the lease is not trusted. */
  readonly clockStepMs: number;
  /** A timer that comes this much late shows a pause. */
  readonly lateTickMs: number;
  /** A leader whose disk has not answered for so long hands over. */
  readonly diskStallMs: number;
  /** One append message holds at most this. */
  readonly appendEntriesMax: number;
  readonly appendBytesMax: number;
  /** What may be under way to one peer. Deep pipelines raise the tail of latency. */
  readonly inflightMessagesMax: number;
  readonly inflightBytesMax: number;
  /** Beyond this many bytes of entries that are not committed, proposals are refused. */
  readonly uncommittedBytesMax: number;
  /** How much of the log is kept in memory after it is on disk. */
  readonly cacheBytesMax: number;
  readonly cacheEntriesMax: number;
  /** The same while no other server is there to be sent them. */
  readonly cacheEntriesMaxAlone: number;
  /** Entries kept behind the snapshot, so that a follower back from a restart needs no snapshot. */
  readonly trailingEntries: number;
  readonly snapshotChunkBytes: number;
  /** Forwarded proposals and reads without an answer are given up after this. */
  readonly forwardTimeoutMs: number;
  /** Forwarded batches and waiting read batches held at once. */
  readonly forwardedMax: number;
}

export const defaultSettings: RaftSettings = {
  heartbeatMs: 50,
  electionMinMs: 150,
  electionMaxMs: 300,
  leaseMarginMs: 40,
  clockDriftMax: 0.05,
  clockStepMs: 100,
  lateTickMs: 50,
  diskStallMs: 5_000,
  appendEntriesMax: 1_024,
  appendBytesMax: 1024 * 1024,
  inflightMessagesMax: 16,
  inflightBytesMax: 8 * 1024 * 1024,
  uncommittedBytesMax: 64 * 1024 * 1024,
  cacheBytesMax: 16 * 1024 * 1024,
  cacheEntriesMax: 16_384,
  cacheEntriesMaxAlone: 1_024,
  trailingEntries: 10_240,
  snapshotChunkBytes: 512 * 1024,
  forwardTimeoutMs: 2_000,
  forwardedMax: 16_384,
};

/** The settings at Consul's `raft_multiplier`, which stretches every protocol time. */
export function scaledSettings(
  multiplier: number,
  over: Partial<RaftSettings> = {},
): RaftSettings {
  const d = defaultSettings;
  return validSettings({
    ...d,
    heartbeatMs: d.heartbeatMs * multiplier,
    electionMinMs: d.electionMinMs * multiplier,
    electionMaxMs: d.electionMaxMs * multiplier,
    leaseMarginMs: d.leaseMarginMs * multiplier,
    lateTickMs: d.lateTickMs * multiplier,
    ...over,
  });
}

/** The settings themselves, or `invalid-argument` with the relation that does not hold. */
export function validSettings(s: RaftSettings): RaftSettings {
  const rules: [boolean, string][] = [
    [s.heartbeatMs >= 5, `heartbeatMs of at least 5, got ${s.heartbeatMs}`],
    [
      s.electionMinMs >= 2 * s.heartbeatMs,
      `electionMinMs of at least two heartbeats (${2 * s.heartbeatMs}), got ${s.electionMinMs}`,
    ],
    [
      s.electionMaxMs > s.electionMinMs,
      `electionMaxMs above electionMinMs (${s.electionMinMs}), got ${s.electionMaxMs}`,
    ],
    [
      s.electionMinMs * (1 - s.clockDriftMax) > s.leaseMarginMs && s.clockDriftMax < 1,
      `a lease margin and drift below electionMinMs, got ${s.leaseMarginMs}, ${s.clockDriftMax}`,
    ],
    [
      s.inflightBytesMax >= s.appendBytesMax,
      `inflightBytesMax of at least appendBytesMax, got ${s.inflightBytesMax}`,
    ],
  ];
  for (const [name, value] of Object.entries(s) as [string, number][]) {
    rules.push([Number.isFinite(value) && value >= 0, `${name} from 0, got ${value}`]);
    if (/(Max|Bytes)$/.test(name) && name !== "clockDriftMax") {
      rules.push([value >= 1, `${name} of at least 1, got ${value}`]);
    }
  }
  for (const [holds, expected] of rules) {
    if (!holds) throw new CuriaError("invalid-argument", `raft settings: expected ${expected}`);
  }
  return s;
}
