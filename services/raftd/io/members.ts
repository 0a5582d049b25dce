// What gossip says of this datacenter's members, kept current by gossipd's stream. While gossipd is
// silent nothing is concluded from that: `isFresh` is false and duties wait.

import type { Member, MemberEvent } from "#proto/messages.js";
import { Gossip } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import type { Identity } from "#shared/bus/types.ts";
import type { SerfStatus } from "../core/duties/autopilot.ts";
import type { ServerMember } from "../core/duties/bootstrap.ts";
import { announcedKinds } from "../state/command-kinds.ts";
import { KindGate } from "./kind-gate.ts";

export interface MembersEvents {
  changed(): void;
}

/** Which kinds of commands a server knows. */
const kindsTag = "kinds";
const ALIVE = 1;
/** By Serf's numbers. */
const statusNames: SerfStatus[] = ["none", "alive", "leaving", "left", "failed"];
const SILENT_MS = 5_000;
const RETRY_MS = 500;

export class Members {
  readonly #client: BusClient;
  readonly #events: MembersEvents;
  readonly #datacenter: string;
  /** What may be proposed while servers of several releases run. */
  readonly kinds: KindGate;
  #members = new Map<string, Member>();
  #next: Map<string, Member> | undefined;
  /** Another number whenever a member changed. */
  version = 0;
  #heardMs = -Infinity;
  #isWhole = false;
  #timer: Timer | undefined;
  #cancel: (() => void) | undefined;
  #isStopped = false;

  constructor(client: BusClient, { nodeId, datacenter }: Identity, events: MembersEvents) {
    this.#client = client;
    this.#datacenter = datacenter;
    this.#events = events;
    this.kinds = new KindGate(nodeId, this);
    this.#watch();
  }

  /** The whole list was received and gossipd still talks. */
  isFresh(nowMs: number): boolean {
    return this.#isWhole && nowMs - this.#heardMs < SILENT_MS;
  }

  all(): IterableIterator<Member> {
    return this.#members.values();
  }

  servers(): ServerMember[] {
    const alive = [...this.#members.values()].filter(({ status }) => status === ALIVE);
    return alive.map((member) => toServer(member, this.#datacenter)).filter((s) => s !== undefined);
  }

  /** What gossip says of a server; undefined: it does not know it. */
  statusOf(id: string): SerfStatus | undefined {
    const member = this.#find(id);
    return member && (statusNames[member.status] ?? "none");
  }

  /** Consul's version that the server reports. */
  versionOf(id: string): string {
    return /\d+\.\d+\.\d+/.exec(this.#find(id)?.tags["build"] ?? "")?.[0] ?? "";
  }

  /** The kinds of commands that the server announces; undefined: none yet. */
  kindsOf(id: string): string | undefined {
    return this.#find(id)?.tags[kindsTag];
  }

  nodeName(id: string): string {
    return this.#find(id)?.name ?? "";
  }

  #find(id: string): Member | undefined {
    for (const member of this.#members.values()) if (member.tags["id"] === id) return member;
    return undefined;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#cancel?.();
  }

  #watch(): void {
    // A gossipd that was started anew knows only the configuration's tags.
    const tags = { [kindsTag]: announcedKinds() };
    this.#client.of(Gossip).setTags({ tags }).catch(() => {});
    const stream = this.#client.of(Gossip).watchMembers({ wan: false });
    this.#cancel = () => stream.cancel();
    this.#next = new Map();
    stream.onItem = (event) => this.#take(event);
    const again = () => {
      if (!this.#isStopped) this.#timer = setTimeout(() => this.#watch(), RETRY_MS);
    };
    stream.onEnd = again;
    stream.onError = again;
  }

  #take({ kind, member }: MemberEvent): void {
    this.#heardMs = performance.now();
    if (kind === "bookmark") return;
    if (kind === "view-complete") {
      this.#members = this.#next ?? this.#members;
      this.#next = undefined;
      this.#isWhole = true;
      this.version++;
      return this.#events.changed();
    }
    if (member === null) return;
    const members = this.#next ?? this.#members;
    if (kind === "reap") members.delete(member.name);
    else members.set(member.name, member);
    if (this.#next !== undefined) return;
    this.version++;
    this.#events.changed();
  }
}

/** The member as a server of the datacenter; undefined: it is none. */
function toServer({ name, address, tags }: Member, datacenter: string): ServerMember | undefined {
  const { role, dc, id, port, expect, bootstrap, curia } = tags;
  if (role !== "consul" || dc !== datacenter || id === undefined || port === undefined) {
    return undefined;
  }
  return {
    id,
    name,
    address: address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`,
    expect: Number(expect ?? 0),
    isBootstrap: bootstrap === "1",
    isCuria: curia !== undefined,
  };
}
