// One pool at work: its machine, its port, its timers and files. The only place where the machine's
// effects become real.
import type { Clock } from "#shared/machine.ts";
import { systemClock } from "#shared/machine.ts";
import type { Random } from "#shared/random.ts";
import { formatEndpoint } from "../core/address.ts";
import type { Effect, Endpoint, Input } from "../core/border.ts";
import type { Keyring } from "../core/keyring.ts";
import { GossipPool } from "../core/pool.ts";
import type { Snapshot } from "../core/serf/snapshot.ts";
import type { Settings } from "../core/settings.ts";
import {
  decodePacket,
  encodePacket,
  type Envelope,
  envelopeOverhead,
} from "../core/wire/packet.ts";
import { WireError } from "../core/wire/reader.ts";
import { Cipher } from "./cipher.ts";
import { newTransportCounts, type TransportCounts } from "./counts.ts";
import type { SnapshotFile } from "./snapshot-file.ts";
import { TcpPort } from "./tcp.ts";
import { UdpPort } from "./udp.ts";

/** What the machine says to the outside, after the loop has done its own part. */
export type OutsideEffect = Exclude<
  Effect,
  {
    kind:
      | "send-packet"
      | "open-stream"
      | "reply-stream"
      | "close-stream"
      | "set-timer"
      | "snapshot-line";
  }
>;

export interface LoopOptions {
  settings: Omit<Settings, "envelopeOverheadBytes">;
  /** Where the sockets listen; the settings hold what the others are told. */
  bindAddress: string;
  /** 0: any free one. */
  bindPort: number;
  random: Random;
  keyring?: Keyring | undefined;
  label?: string;
  compress?: boolean;
  sealOutgoing?: boolean;
  refusePlain?: boolean;
  snapshot?: Snapshot | undefined;
  snapshotFile?: SnapshotFile | undefined;
  clock?: Clock;
  outside(effect: OutsideEffect): void;
}

const portTries = 20;

export class PoolLoop {
  readonly counts: TransportCounts;
  readonly keyring: Keyring | undefined;
  readonly #machine: GossipPool;
  readonly #envelope: Envelope;
  readonly #udp: UdpPort;
  readonly #tcp: TcpPort;
  readonly #clock: Clock;
  readonly #options: LoopOptions;
  readonly #timers = new Map<number, Timer>();
  readonly port: number;
  #isStopped = false;

  private constructor(
    options: LoopOptions,
    envelope: Envelope,
    counts: TransportCounts,
    ports: { udp: UdpPort; tcp: TcpPort; port: number },
  ) {
    this.#options = options;
    this.#envelope = envelope;
    this.counts = counts;
    this.keyring = options.keyring;
    this.#clock = options.clock ?? systemClock;
    this.#udp = ports.udp;
    this.#tcp = ports.tcp;
    this.port = ports.port;
    const settings: Settings = {
      ...options.settings,
      port: options.settings.port || ports.port,
      envelopeOverheadBytes: envelopeOverhead(envelope),
    };
    this.#machine = new GossipPool(settings, options.random, options.keyring);
  }

  static async open(options: LoopOptions): Promise<PoolLoop> {
    const { keyring } = options;
    const envelope: Envelope = {
      label: options.label ?? "",
      compress: options.compress ?? true,
      sealOutgoing: options.sealOutgoing ?? true,
      refusePlain: options.refusePlain ?? true,
      sealer: keyring?.primary ? new Cipher(keyring) : undefined,
    };
    const counts = newTransportCounts();
    // The ports open before the machine is there; what arrives in between is dropped, as if lost.
    let loop: PoolLoop | undefined = undefined;
    const tcp = new TcpPort(envelope, options.settings.tcpTimeoutMs, counts, {
      received: (stream, from, message) =>
        loop?.step({ kind: "received-stream", stream, from, message }),
      answered: (stream, message) => loop?.step({ kind: "stream-answered", stream, message }),
      failed: (stream, reason) => loop?.step({ kind: "stream-failed", stream, reason }),
      refused: (from, reason) =>
        options.outside({
          kind: "note",
          level: "warn",
          message: `stream from ${formatEndpoint(from)} refused: ${reason}`,
        }),
    });
    const received = (from: Endpoint, bytes: Uint8Array) => {
      if (loop) loop.#receive(from, bytes);
    };
    const ports = await openPorts(options, tcp, counts, received);
    loop = new PoolLoop(options, envelope, counts, ports);
    const { snapshot } = options;
    loop.step({ kind: "started", ...(snapshot ? { snapshot } : {}) });
    return loop;
  }

  get machine(): Pick<
    GossipPool,
    | "members"
    | "counters"
    | "healthScore"
    | "coordinate"
    | "coordinateOf"
    | "times"
    | "queueLengths"
    | "leaveStage"
  > {
    return this.#machine;
  }

  get isEncrypted(): boolean {
    return this.#envelope.sealer !== undefined;
  }

  step(input: Input): void {
    if (this.#isStopped) return;
    for (const effect of this.#machine.step(input, this.#clock.nowMs())) this.#obey(effect);
  }

  #receive(from: Endpoint, bytes: Uint8Array): void {
    let messages: Uint8Array[];
    try {
      messages = decodePacket(bytes, this.#envelope);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.counts.packetsRefused++;
      return;
    }
    this.step({ kind: "received-packet", from, messages });
  }

  #obey(effect: Effect): void {
    switch (effect.kind) {
      case "send-packet":
        return this.#udp.send(
          effect.to,
          encodePacket(effect.messages, this.#envelope, effect.crc),
        );
      case "open-stream":
        return this.#tcp.open(effect.stream, effect.to, effect.message, effect.timeoutMs);
      case "reply-stream":
        return this.#tcp.reply(effect.stream, effect.message);
      case "close-stream":
        return this.#tcp.close(effect.stream);
      case "set-timer":
        return this.#setTimer(effect.timer, effect.token, effect.afterMs);
      case "snapshot-line":
        return this.#options.snapshotFile?.append(effect.line);
      default:
        return this.#options.outside(effect);
    }
  }

  #setTimer(timer: string, token: number, afterMs: number): void {
    const handle = setTimeout(() => {
      this.#timers.delete(token);
      this.step({ kind: "timer-fired", timer, token });
    }, afterMs);
    this.#timers.set(token, handle);
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    for (const handle of this.#timers.values()) clearTimeout(handle);
    this.#timers.clear();
    this.#udp.close();
    this.#options.snapshotFile?.close();
    await this.#tcp.stop();
  }
}

/** Packets and streams share one port number; with port 0 it must be free for both. */
async function openPorts(
  options: LoopOptions,
  tcp: TcpPort,
  counts: TransportCounts,
  received: (from: Endpoint, bytes: Uint8Array) => void,
): Promise<{ udp: UdpPort; tcp: TcpPort; port: number }> {
  const { bindAddress, bindPort } = options;
  for (let tries = portTries;; tries--) {
    const port = await tcp.listen(bindAddress, bindPort);
    try {
      const udp = await UdpPort.open(bindAddress, port, counts, received);
      return { udp, tcp, port };
    } catch (error) {
      await tcp.stop();
      if (bindPort !== 0 || tries <= 1) throw error;
    }
  }
}
