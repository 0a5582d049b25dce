// Consul's user events inside Serf's: the envelope, the filters, and the ring of the last ones.
import { isSearched } from "../serf/expression.ts";
import { Reader, WireError } from "../wire/reader.ts";
import { omitEmpty, raw, struct, text, uint53 } from "../wire/schema.ts";
import { Writer } from "../wire/writer.ts";

export interface ConsulEvent {
  id: string;
  name: string;
  payload: Uint8Array;
  nodeFilter: string;
  serviceFilter: string;
  tagFilter: string;
  version: number;
  lTime: number;
}

/** Serf events of other names are not user events. */
export const eventPrefix = "consul:event:";
export const remoteExecName = "_rexec";
export const eventVersion = 1;
const ringMax = 256;

const envelope = struct({
  ID: text,
  n: text,
  nf: omitEmpty(text),
  p: omitEmpty(raw),
  sf: omitEmpty(text),
  tf: omitEmpty(text),
  v: uint53,
});

/** Consul writes these with MessagePack's newer types, unlike the gossip around them. */
export function encodeEvent(event: Omit<ConsulEvent, "lTime">): Uint8Array {
  const writer = new Writer(true);
  envelope.write(writer, {
    ID: event.id,
    n: event.name,
    nf: event.nodeFilter,
    p: event.payload,
    sf: event.serviceFilter,
    tf: event.tagFilter,
    v: event.version,
  });
  return writer.finish();
}

/** Undefined when it cannot be read. */
export function decodeEvent(payload: Uint8Array, lTime: number): ConsulEvent | undefined {
  try {
    const { ID, n, nf, p, sf, tf, v } = envelope.read(new Reader(payload));
    return {
      id: ID,
      name: n,
      payload: p ?? new Uint8Array(),
      nodeFilter: nf,
      serviceFilter: sf,
      tagFilter: tf,
      version: v,
      lTime,
    };
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

/** Why the filters cannot be used, in Consul's words. */
export function filterRefusal(event: ConsulEvent): string | undefined {
  if (event.tagFilter !== "" && event.serviceFilter === "") {
    return "Cannot provide tag filter without service filter.";
  }
  const filters = { node: event.nodeFilter, service: event.serviceFilter, tag: event.tagFilter };
  for (const [name, filter] of Object.entries(filters)) {
    try {
      isSearched(filter, "");
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return `Invalid ${name} filter: ${error.message}`;
    }
  }
  return undefined;
}

/** Whether the node may take it, before its services are looked at. */
export function isForNode(event: ConsulEvent, nodeName: string): boolean {
  return matches(event.nodeFilter, nodeName);
}

export function isForServices(
  event: ConsulEvent,
  services: readonly { id: string; tags: readonly string[] }[],
): boolean {
  if (event.serviceFilter === "") return true;
  return services.some(({ id, tags }) =>
    matches(event.serviceFilter, id) &&
    (event.tagFilter === "" || tags.some((tag) => matches(event.tagFilter, tag)))
  );
}

function matches(expression: string, text: string): boolean {
  try {
    return expression === "" || isSearched(expression, text);
  } catch (error) {
    if (error instanceof WireError) return false;
    throw error;
  }
}

/** The last events that this node received, oldest first. */
export class EventRing {
  #events: ConsulEvent[] = [];

  add(event: ConsulEvent): void {
    this.#events.push(event);
    if (this.#events.length > ringMax) this.#events.shift();
  }

  list(name: string): ConsulEvent[] {
    return this.#events.filter((event) => name === "" || event.name === name);
  }
}
