// What one subscriber of the change stream gets: the rows of its topics, then their changes. With
// a list of services it gets their instances, the nodes that these are on, and the checks of both;
// a node is sent when its first instance appears and forgotten with its last.

import type { ChangeGroup, StateChange } from "./journal.ts";
import { sizeOf } from "./change-history.ts";
import type { Tables } from "./tables.ts";

const rowsPerSlice = 500;
const bytesPerSlice = 512 * 1024;

export interface SubscriptionOptions {
  /** catalog, kv, sessions, coordinates, documents:<kind>. */
  readonly topics: readonly string[];
  readonly services: readonly string[];
  /** Only for owners of the rows. */
  readonly withSecrets?: boolean;
}

const knownTopics = new Set(["catalog", "kv", "sessions", "coordinates"]);
const none = new Uint8Array(0);

/** The first topic that does not exist. */
export function unknownTopic(topics: readonly string[]): string | undefined {
  return topics.find((topic) => !knownTopics.has(topic) && !topic.startsWith("documents:"));
}

export class Subscription {
  readonly #topics: ReadonlySet<string>;
  readonly #services: ReadonlySet<string>;
  readonly #withSecrets: boolean;
  /** Per node key the wanted service IDs on it; used only with a list of services. */
  readonly #nodes = new Map<string, Set<string>>();

  constructor(options: SubscriptionOptions) {
    this.#topics = new Set(options.topics);
    this.#services = new Set(options.services.map((name) => name.toLowerCase()));
    this.#withSecrets = options.withSecrets ?? false;
  }

  /** All rows of the topics, in parts, each read when it is asked for. */
  *view(tables: Tables): Iterable<StateChange[]> {
    if (this.#topics.has("catalog")) {
      if (this.#services.size > 0) yield this.#viewServices(tables);
      else yield* viewCatalog(tables);
    }
    if (this.#topics.has("kv")) {
      for (const page of tables.kv.pages(none, rowsPerSlice, bytesPerSlice)) {
        yield page.map((kv) => ({ deleted: false, kind: "kv", kv }));
      }
    }
    if (this.#topics.has("sessions")) {
      yield* cut(
        tables.sessions.list().map((session) => ({
          deleted: false,
          kind: "session",
          session,
        })),
      );
    }
    if (this.#topics.has("coordinates")) {
      yield* cut(
        tables.coordinates.list().map((coordinate) => ({
          deleted: false,
          kind: "coordinate",
          coordinate,
        })),
      );
    }
    for (const topic of this.#topics) {
      if (!topic.startsWith("documents:")) continue;
      const documents = tables.documents.list(topic.slice("documents:".length));
      yield* cut(
        documents.map((document) => this.#veil({ deleted: false, kind: "document", document })),
      );
    }
  }

  /** What of these changes concerns the subscriber; empty: nothing. */
  changesOf(group: ChangeGroup, tables: Tables): StateChange[] {
    const wanted: StateChange[] = [];
    for (const change of group.changes) this.#take(change, tables, wanted);
    return wanted;
  }

  #take(change: StateChange, tables: Tables, wanted: StateChange[]): void {
    switch (change.kind) {
      case "kv":
        if (this.#topics.has("kv")) wanted.push(change);
        break;
      case "session":
        if (this.#topics.has("sessions")) wanted.push(change);
        break;
      case "coordinate":
        if (this.#topics.has("coordinates")) wanted.push(change);
        break;
      case "document":
        if (this.#topics.has(`documents:${change.document.kind}`)) wanted.push(this.#veil(change));
        break;
      case "node":
      case "service":
      case "check":
        if (!this.#topics.has("catalog")) break;
        if (this.#services.size === 0) wanted.push(change);
        else this.#takeOfServices(change, tables, wanted);
        break;
      default:
        change satisfies never;
    }
  }

  #takeOfServices(
    change: StateChange & { kind: "node" | "service" | "check" },
    tables: Tables,
    wanted: StateChange[],
  ): void {
    if (change.kind === "node") {
      if (this.#nodes.has(nodeKey(change.node.peerName, change.node.node))) wanted.push(change);
      return;
    }
    if (change.kind === "check") {
      const { peerName, node, serviceId } = change.check;
      const on = this.#nodes.get(nodeKey(peerName, node));
      if (on !== undefined && (serviceId === "" || on.has(serviceId.toLowerCase()))) {
        wanted.push(change);
      }
      return;
    }
    const { peerName: peer, node, id, service: name } = change.service;
    const key = nodeKey(peer, node);
    const on = this.#nodes.get(key);
    if (change.deleted || !this.#services.has(name.toLowerCase())) {
      // An instance may also leave by taking another name.
      if (!on?.delete(id.toLowerCase())) return;
      wanted.push({ ...change, deleted: true });
      if (on.size === 0) this.#nodes.delete(key);
      return;
    }
    if (on === undefined) {
      this.#nodes.set(key, new Set([id.toLowerCase()]));
      this.#addNode(peer, node, tables, wanted);
      wanted.push(change);
      return;
    }
    on.add(id.toLowerCase());
    wanted.push(change);
  }

  #addNode(peer: string, name: string, tables: Tables, wanted: StateChange[]): void {
    const node = tables.nodes.find(peer, name);
    if (node !== undefined) wanted.push({ deleted: false, kind: "node", node });
    for (const check of tables.checks.ofInstance(peer, name, "")) {
      wanted.push({ deleted: false, kind: "check", check });
    }
  }

  #viewServices(tables: Tables): StateChange[] {
    const rows: StateChange[] = [];
    for (const name of this.#services) {
      for (const service of tables.services.byName("", name)) {
        const change: StateChange = { deleted: false, kind: "service", service };
        this.#takeOfServices(change, tables, rows);
        for (const check of tables.checks.ofInstance("", service.node, service.id)) {
          rows.push({ deleted: false, kind: "check", check });
        }
      }
    }
    return rows;
  }

  #veil(change: StateChange & { kind: "document" }): StateChange {
    if (this.#withSecrets || change.document.secretJson.length === 0) return change;
    return { ...change, document: { ...change.document, secretJson: none } };
  }
}

function nodeKey(peer: string, node: string): string {
  return `${peer} ${node.toLowerCase()}`;
}

function* viewCatalog({ nodes, services, checks }: Tables): Iterable<StateChange[]> {
  for (let after = "";;) {
    const page = nodes.page("", after, rowsPerSlice);
    yield page.map((node) => ({ deleted: false, kind: "node", node }));
    if (page.length < rowsPerSlice) break;
    after = page.at(-1)!.node.toLowerCase();
  }
  for (let node = "", id = "";;) {
    const page = services.page("", node, id, rowsPerSlice);
    yield page.map((service) => ({ deleted: false, kind: "service", service }));
    if (page.length < rowsPerSlice) break;
    node = page.at(-1)!.node.toLowerCase();
    id = page.at(-1)!.id.toLowerCase();
  }
  for (let node = "", id = "";;) {
    const page = checks.page("", node, id, rowsPerSlice);
    yield page.map((check) => ({ deleted: false, kind: "check", check }));
    if (page.length < rowsPerSlice) break;
    node = page.at(-1)!.node.toLowerCase();
    id = page.at(-1)!.checkId.toLowerCase();
  }
}

/** A list in parts that fit one message. */
export function* cut(changes: StateChange[]): Iterable<StateChange[]> {
  let part: StateChange[] = [];
  let bytes = 0;
  for (const change of changes) {
    part.push(change);
    bytes += sizeOf(change);
    if (part.length < rowsPerSlice && bytes < bytesPerSlice) continue;
    yield part;
    part = [];
    bytes = 0;
  }
  if (part.length > 0) yield part;
}
