// Everything that the machine of one pool can be told, with memberlist's and Serf's defaults for a
// LAN, a WAN and one host.
import type { Admission } from "./consul/admission.ts";
import type { Tags } from "./wire/tags.ts";

export interface Settings {
  name: string;
  /** What the others reach us at. An IPv4 address is four bytes: peers compare the bytes. */
  address: Uint8Array;
  port: number;
  tags: Tags;
  /** Lowest, highest and current protocol of memberlist, then of Serf. */
  versions: Uint8Array;
  /** Who may be a member. */
  admission: Admission;
  /** False refuses a member's address (serf_lan_allowed_cidrs). */
  addressAllowed?: (address: Uint8Array) => boolean;
  /** What encryption and label add to a packet. */
  envelopeOverheadBytes: number;

  tcpTimeoutMs: number;
  /** How many others are asked to probe for us. */
  indirectChecks: number;
  /** A rumour is told retransmitMult × ⌈log10(n+1)⌉ times. */
  retransmitMult: number;
  /** A suspect has suspicionMult × log10(n) probe intervals to defend itself, */
  suspicionMult: number;
  /** times this, until others confirm the suspicion. */
  suspicionMaxTimeoutMult: number;
  pushPullIntervalMs: number;
  probeIntervalMs: number;
  /** How long a direct probe waits before others are asked; below the interval. */
  probeTimeoutMs: number;
  /** The health score is below this; at 1 the node never doubts itself. */
  awarenessMax: number;
  gossipIntervalMs: number;
  gossipNodes: number;
  /** The dead are told the news for so long, so that they can refute. */
  gossipToTheDeadMs: number;
  packetBytesMax: number;
  /** After it a dead node's name may come back with another address; 0 is never. */
  deadNodeReclaimMs: number;
  tcpPings: boolean;
  /** Tell and learn network coordinates in acks. */
  coordinates: boolean;
  /** Helpers say when they too get no answer; suspects are told with the probe (Lifeguard). */
  nacks: boolean;
  buddy: boolean;
  /** A timer this late means that we were stalled: our own silence is no proof against others. */
  stallMs: number;

  eventBufferSlots: number;
  queryBufferSlots: number;
  broadcastTimeoutMs: number;
  leavePropagateDelayMs: number;
  reapIntervalMs: number;
  recentIntentTimeoutMs: number;
  reconnectIntervalMs: number;
  /** A failed member is forgotten after this, one that left after tombstoneTimeoutMs. */
  reconnectTimeoutMs: number;
  tombstoneTimeoutMs: number;
  flapTimeoutMs: number;
  queueDepthMax: number;
  /** Above 0 the limit is the larger of this and twice the members. */
  queueDepthMin: number;
  queueCheckIntervalMs: number;
  /** Reports about members wait for so long at most, and for so much calm; 0: not at all. */
  coalescePeriodMs: number;
  quiescentPeriodMs: number;
  /** The same for user events that may be taken together. */
  userCoalescePeriodMs: number;
  userQuiescentPeriodMs: number;
  userEventBytesMax: number;
  queryBytesMax: number;
  queryResponseBytesMax: number;
  queryTimeoutMult: number;
  /** Ask the others who is right when two nodes have our name; the minority stops. */
  resolveConflicts: boolean;
}

export type Profile = Omit<
  Settings,
  "name" | "address" | "port" | "tags" | "versions" | "admission" | "envelopeOverheadBytes"
>;

/** Consul's: memberlist 1 to 5 at 2, Serf 2 to 5 at 4. */
export const consulVersions = Uint8Array.of(1, 5, 2, 2, 5, 4);

/** Nothing longer may be configured as an event's limit. */
export const userEventBytesCeiling = 9 * 1024;

const hourMs = 3_600_000;

export const lanProfile: Profile = {
  tcpTimeoutMs: 10_000,
  indirectChecks: 3,
  retransmitMult: 4,
  suspicionMult: 4,
  suspicionMaxTimeoutMult: 6,
  pushPullIntervalMs: 30_000,
  probeIntervalMs: 1_000,
  probeTimeoutMs: 500,
  awarenessMax: 8,
  gossipIntervalMs: 200,
  gossipNodes: 3,
  gossipToTheDeadMs: 30_000,
  packetBytesMax: 1_400,
  deadNodeReclaimMs: 0,
  tcpPings: true,
  coordinates: true,
  nacks: true,
  buddy: true,
  stallMs: 250,

  eventBufferSlots: 512,
  queryBufferSlots: 512,
  broadcastTimeoutMs: 5_000,
  leavePropagateDelayMs: 1_000,
  reapIntervalMs: 15_000,
  recentIntentTimeoutMs: 5 * 60_000,
  reconnectIntervalMs: 30_000,
  reconnectTimeoutMs: 24 * hourMs,
  tombstoneTimeoutMs: 24 * hourMs,
  flapTimeoutMs: 60_000,
  queueDepthMax: 4_096,
  queueDepthMin: 0,
  queueCheckIntervalMs: 30_000,
  coalescePeriodMs: 0,
  quiescentPeriodMs: 0,
  userCoalescePeriodMs: 0,
  userQuiescentPeriodMs: 0,
  userEventBytesMax: 512,
  queryBytesMax: 1_024,
  queryResponseBytesMax: 1_024,
  queryTimeoutMult: 16,
  resolveConflicts: true,
};

export const wanProfile: Profile = {
  ...lanProfile,
  tcpTimeoutMs: 30_000,
  suspicionMult: 6,
  pushPullIntervalMs: 60_000,
  probeIntervalMs: 5_000,
  probeTimeoutMs: 3_000,
  gossipIntervalMs: 500,
  gossipNodes: 4,
  gossipToTheDeadMs: 60_000,
};

export const localProfile: Profile = {
  ...lanProfile,
  tcpTimeoutMs: 1_000,
  indirectChecks: 1,
  retransmitMult: 2,
  suspicionMult: 3,
  pushPullIntervalMs: 15_000,
  probeTimeoutMs: 200,
  gossipIntervalMs: 100,
  gossipToTheDeadMs: 15_000,
};

/** Serf's agent and its handlers; Consul leaves all of it off. */
export const agentCoalescing = {
  coalescePeriodMs: 3_000,
  quiescentPeriodMs: 1_000,
  userCoalescePeriodMs: 3_000,
  userQuiescentPeriodMs: 1_000,
} satisfies Partial<Profile>;

/** What Consul changes in both pools. */
export const consulOverrides = {
  deadNodeReclaimMs: 30_000,
  reconnectTimeoutMs: 72 * hourMs,
  queueDepthMin: 4_096,
  leavePropagateDelayMs: 3_000,
  resolveConflicts: false,
} satisfies Partial<Profile>;
