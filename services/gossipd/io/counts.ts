// What the transport of one pool counts; metrics.ts gives each its name and help text.

export interface TransportCounts {
  packetsIn: number;
  packetsOut: number;
  bytesIn: number;
  bytesOut: number;
  /** Packets dropped before the machine saw them: label, key, CRC, layers. */
  packetsRefused: number;
  /** Errors of earlier packets that surfaced on a later send, or as an event. */
  sendErrors: number;
  sendRepeats: number;
  streamsIn: number;
  streamsOut: number;
  streamBytesIn: number;
  streamBytesOut: number;
  streamsRefused: number;
  streamsTimedOut: number;
  streamFailures: number;
}

export function newTransportCounts(): TransportCounts {
  return {
    packetsIn: 0,
    packetsOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    packetsRefused: 0,
    sendErrors: 0,
    sendRepeats: 0,
    streamsIn: 0,
    streamsOut: 0,
    streamBytesIn: 0,
    streamBytesOut: 0,
    streamsRefused: 0,
    streamsTimedOut: 0,
    streamFailures: 0,
  };
}
