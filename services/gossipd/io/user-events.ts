// Consul's user events on the LAN pool: fires them, takes those meant for this node, keeps the last.
import { randomUUID } from "node:crypto";
import { Agent } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { CuriaError } from "#shared/errors.ts";
import {
  type ConsulEvent,
  decodeEvent,
  encodeEvent,
  eventPrefix,
  EventRing,
  eventVersion,
  filterRefusal,
  isForNode,
  isForServices,
  remoteExecName,
} from "../core/consul/user-event.ts";
import type { MemberPool, PoolLog } from "./member-pool.ts";

type Listener = (event: ConsulEvent) => void;

export class UserEvents {
  readonly #pool: MemberPool;
  readonly #checkd: BusClient;
  readonly #nodeName: string;
  readonly #log: PoolLog;
  readonly #ring = new EventRing();
  readonly #listeners = new Set<Listener>();
  /** One after another, so that their order is kept while services are asked for. */
  #taking: Promise<void> = Promise.resolve();

  constructor(pool: MemberPool, checkd: BusClient, nodeName: string, log: PoolLog) {
    this.#pool = pool;
    this.#checkd = checkd;
    this.#nodeName = nodeName;
    this.#log = log;
    pool.onEvent((name, payload, lTime) => {
      if (!name.startsWith(eventPrefix)) return this.#logOther(name, payload);
      const event = decodeEvent(payload, lTime);
      if (!event) return this.#log.warn({ event: name }, "a user event cannot be read");
      this.#taking = this.#taking.then(() => this.#take(event));
    });
  }

  /** Throws CuriaError: a wrong filter, or too large for gossip. */
  fire(wanted: Pick<ConsulEvent, "name" | "payload"> & Partial<ConsulEvent>): ConsulEvent {
    const event: ConsulEvent = {
      nodeFilter: "",
      serviceFilter: "",
      tagFilter: "",
      ...wanted,
      id: wanted.id || randomUUID(),
      version: eventVersion,
      lTime: 0,
    };
    if (event.name === "") throw new CuriaError("invalid-argument", "Missing name");
    const refusal = filterRefusal(event);
    if (refusal !== undefined) throw new CuriaError("invalid-argument", refusal);
    this.#pool.fireEvent(eventPrefix + event.name, encodeEvent(event));
    return event;
  }

  list(name: string): ConsulEvent[] {
    return this.#ring.list(name);
  }

  watch(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #take(event: ConsulEvent): Promise<void> {
    if (event.version > eventVersion) {
      return this.#log.warn({ version: event.version }, "a user event of a later version");
    }
    if (event.name === remoteExecName || !isForNode(event, this.#nodeName)) return;
    if (event.serviceFilter !== "" && !await this.#isForOurServices(event)) return;
    this.#ring.add(event);
    for (const listener of this.#listeners) listener(event);
  }

  async #isForOurServices(event: ConsulEvent): Promise<boolean> {
    try {
      const { services } = await this.#checkd.of(Agent).listServices({});
      return isForServices(
        event,
        services.flatMap(({ service }) => service ? [{ id: service.id, tags: service.tags }] : []),
      );
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.warn({ event: event.name, reason }, "no services to filter a user event by");
      return false;
    }
  }

  #logOther(name: string, payload: Uint8Array): void {
    if (name !== "consul:new-leader") return;
    this.#log.info({ leader: new TextDecoder().decode(payload) }, "new leader elected");
  }
}
