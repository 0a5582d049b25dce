// What gossipd counts, per pool.
import type { Metrics } from "#shared/metrics.ts";
import type { TransportCounts } from "./io/counts.ts";
import type { Pools } from "./io/pools.ts";

const transportHelp: Record<keyof TransportCounts, string> = {
  packetsIn: "Packets received.",
  packetsOut: "Packets sent.",
  bytesIn: "Bytes received in packets.",
  bytesOut: "Bytes sent in packets.",
  packetsRefused: "Packets dropped for their label, key, checksum or layers.",
  sendErrors: "Errors that a send met, its own or an earlier packet's.",
  sendRepeats: "Packets sent again after an error.",
  streamsIn: "Streams accepted.",
  streamsOut: "Streams opened.",
  streamBytesIn: "Bytes received on streams.",
  streamBytesOut: "Bytes sent on streams.",
  streamsRefused: "Streams dropped for what they carried or for their number.",
  streamsTimedOut: "Accepted streams cut off because they were not done in time.",
  streamFailures: "Streams that broke or were not answered.",
};

/** The machine's counts that an operator looks for; the rest are in `curia info`. */
const machineHelp = {
  "probes": "Probe rounds begun.",
  "probe failures": "Probe rounds without an answer.",
  "dropped malformed": "Messages dropped because they could not be read.",
  "dropped not-admitted": "Members refused by the merge checks.",
  "dropped versions": "Members refused for their protocol versions.",
  "dropped too-old": "Events and queries older than what is remembered.",
  "dropped oversized": "What others would have us keep beyond our bounds.",
  "dropped wrong-node": "Probes that were meant for another node.",
  "dropped unexpected": "Answers that nothing waited for, and overflow.",
  "user events": "User events delivered.",
  "queries": "Queries received.",
  "flaps": "Members that came back soon after they failed.",
};

export function declareMetrics(metrics: Metrics, pools: Pools): void {
  for (const name of ["lan", "wan"] as const) {
    const loop = pools[name]?.loop;
    if (!loop) continue;
    const { machine, counts } = loop;
    const add = (noun: string, help: string, type: "counter" | "gauge", read: () => number) =>
      metrics.observed(`gossipd_${name}_${noun}`, help, type, read);
    for (const [key, help] of Object.entries(transportHelp)) {
      const noun = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      add(`${noun}_total`, help, "counter", () => counts[key as keyof TransportCounts]);
    }
    for (const [key, help] of Object.entries(machineHelp)) {
      const noun = key.replace(/[^a-z]/g, "_");
      add(`${noun}_total`, help, "counter", () => machine.counters.get(key) ?? 0);
    }
    add("members", "Members known, in whatever state.", "gauge", () => machine.members().length);
    add("health_score", "0 when healthy (Lifeguard).", "gauge", () => machine.healthScore);
    for (const queue of ["swim", "intent", "event", "query"] as const) {
      const help = `Messages of the ${queue} queue that wait to be told.`;
      add(`${queue}_queue_messages`, help, "gauge", () => machine.queueLengths[queue]);
    }
  }
}
