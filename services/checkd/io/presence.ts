// checkd towards gossipd: says that it lives, and hears how large the pool is and which servers
// come (for the pace of anti-entropy).

import type { MemberEvent } from "#proto/messages.js";
import { Gossip } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import type { Log } from "#shared/log.ts";

export interface PresenceListener {
  counted(members: number): void;
  serverUp(): void;
}

const beatMs = 5_000;
const againMs = 1_000;
const alive = 1;

export class Presence {
  readonly #client: BusClient;
  readonly #listener: PresenceListener;
  readonly #log: Log;
  readonly #alive = new Set<string>();
  #isViewWhole = false;
  #isStopped = false;
  #endBeat = () => {};
  #endWatch = () => {};
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();

  constructor(client: BusClient, listener: PresenceListener, log: Log) {
    this.#client = client;
    this.#listener = listener;
    this.#log = log;
  }

  start(): void {
    this.#beat();
    this.#watch();
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#endBeat();
    this.#endWatch();
  }

  #beat(): void {
    const stream = this.#client.of(Gossip).checkerAlive();
    const timer = setInterval(() => stream.write({}), beatMs);
    stream.write({});
    this.#endBeat = () => {
      clearInterval(timer);
      stream.cancel();
    };
    const again = () => {
      clearInterval(timer);
      this.#later(() => this.#beat());
    };
    stream.answer.then(again, again);
  }

  #watch(): void {
    this.#isViewWhole = false;
    this.#alive.clear();
    const stream = this.#client.of(Gossip).watchMembers({ wan: false });
    this.#endWatch = () => stream.cancel();
    stream.onItem = (event) => this.#hear(event);
    stream.onEnd = () => this.#later(() => this.#watch());
    stream.onError = (error) => {
      this.#log.debug({ error: error.message }, "gossipd does not tell its members");
      this.#later(() => this.#watch());
    };
  }

  #hear({ kind, member }: MemberEvent): void {
    if (kind === "view-complete") this.#isViewWhole = true;
    if (member !== null) {
      if (member.status === alive) this.#alive.add(member.name);
      else this.#alive.delete(member.name);
      const isServer = member.tags.role === "consul";
      if (kind === "join" && isServer && this.#isViewWhole) this.#listener.serverUp();
    }
    if (this.#isViewWhole && kind !== "bookmark") this.#listener.counted(this.#alive.size);
  }

  #later(act: () => void): void {
    if (this.#isStopped) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, againMs);
    this.#timers.add(timer);
  }
}
