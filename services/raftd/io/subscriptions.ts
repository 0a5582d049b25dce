// State.Subscribe: the rows of some topics, then every change of them in log order, grouped by index.
// A reader that falls behind gets the rows again instead of a queue without end.

import type { ChangeBatchInput, ChangeInput, SubscribeRequest } from "#proto/messages.js";
import type { OutStream } from "#shared/bus/types.ts";
import { CuriaError } from "#shared/errors.ts";
import type { StateChange } from "../state/journal.ts";
import type { AppliedChanges, ChangeGroup } from "../state/store.ts";

export interface SubscriptionSource {
  /** All rows of a topic in pieces that are small enough to be sent between other work. */
  rows(topic: string, services: readonly string[]): Iterable<StateChange[]>;
  position(): { index: number; generation: number };
  bookmark(): {
    index: number;
    generation: number;
    knownLeader: boolean;
    lastContactMs: number;
  };
}

interface Subscription {
  topics: ReadonlySet<string>;
  services: ReadonlySet<string> | undefined;
  out: OutStream<ChangeBatchInput>;
  /** The view being sent, until it is whole. */
  view: Iterator<StateChange[]> | undefined;
  /** What changed while the view was being sent. */
  held: ChangeBatchInput[];
}

const QUEUED_BYTES_MAX = 16 * 1024 * 1024;
const BOOKMARK_MS = 1_000;
const topicPattern = /^(catalog|kv|sessions|coordinates|documents:[a-z-]+)$/;
/** Groups kept for subscribers that come back within seconds. */
const HISTORY_GROUPS_MAX = 4_096;

export class Subscriptions {
  readonly #source: SubscriptionSource;
  readonly #all = new Set<Subscription>();
  readonly #history: ChangeGroup[] = [];
  readonly #timer: Timer;

  constructor(source: SubscriptionSource) {
    this.#source = source;
    this.#timer = setInterval(() => this.#bookmarks(), BOOKMARK_MS);
  }

  get count(): number {
    return this.#all.size;
  }

  open(request: SubscribeRequest, out: OutStream<ChangeBatchInput>): void {
    const unknown = request.topics.find((topic) => !topicPattern.test(topic));
    if (unknown !== undefined || request.topics.length === 0) {
      throw new CuriaError("invalid-argument", `Expected topics but got "${unknown ?? ""}"`);
    }
    const subscription: Subscription = {
      topics: new Set(request.topics),
      services: request.services.length > 0 ? new Set(request.services) : undefined,
      out,
      view: undefined,
      held: [],
    };
    this.#all.add(subscription);
    out.onClose(() => this.#all.delete(subscription));
    if (!this.#resume(subscription, request)) this.#sendView(subscription);
  }

  changed(changes: AppliedChanges | "everything"): void {
    if (changes === "everything") {
      this.#history.length = 0;
      for (const subscription of this.#all) this.#sendView(subscription);
      return;
    }
    for (const group of changes.groups) {
      if (group.changes.length === 0) continue;
      this.#history.push(group);
      for (const subscription of this.#all) this.#send(subscription, group);
    }
    const surplus = this.#history.length - HISTORY_GROUPS_MAX;
    if (surplus > HISTORY_GROUPS_MAX / 4) this.#history.splice(0, surplus);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { out } of this.#all) out.end();
  }

  /** Goes on where the caller stopped, when all changes since are still known. */
  #resume(subscription: Subscription, { afterIndex, generation }: SubscribeRequest): boolean {
    const position = this.#source.position();
    if (afterIndex === 0 || generation !== position.generation) return false;
    const isKnown = afterIndex === position.index ||
      (this.#history.length > 0 && this.#history[0]!.index <= afterIndex);
    if (!isKnown || afterIndex > position.index) return false;
    for (const group of this.#history) {
      if (group.index > afterIndex) this.#send(subscription, group);
    }
    subscription.out.write({ ...position, bookmark: this.#source.bookmark() });
    return true;
  }

  #send(subscription: Subscription, { index, changes }: ChangeGroup): void {
    const rows = changes.filter((change) => concerns(subscription, change)).map(toRow);
    if (rows.length === 0) return;
    const batch = { index, generation: this.#source.position().generation, changes: rows };
    if (subscription.view !== undefined) subscription.held.push(batch);
    else if (subscription.out.queuedBytes > QUEUED_BYTES_MAX) this.#sendView(subscription);
    else subscription.out.write(batch);
  }

  #sendView(subscription: Subscription): void {
    const wasSending = subscription.view !== undefined;
    subscription.held = [];
    subscription.view = this.#rows(subscription);
    subscription.out.write({ ...this.#source.position(), resync: true });
    if (!wasSending) void this.#pump(subscription);
  }

  *#rows({ topics, services }: Subscription): Generator<StateChange[], undefined> {
    for (const topic of topics) yield* this.#source.rows(topic, services ? [...services] : []);
  }

  async #pump(subscription: Subscription): Promise<void> {
    const { out } = subscription;
    while (!out.isClosed) {
      const next = subscription.view!.next();
      const position = this.#source.position();
      if (next.done === true) break;
      out.write({ ...position, changes: next.value.map(toRow) });
      if (!out.isWritable) await out.drained();
      // Other work has its turn between two pieces.
      else await new Promise<void>((resolve) => setImmediate(resolve));
    }
    subscription.view = undefined;
    const position = this.#source.position();
    // Rows of the view may be newer than what was held; in order, the last word is the newest.
    for (const batch of subscription.held.splice(0)) out.write(batch);
    out.write({ ...position, viewComplete: true, bookmark: this.#source.bookmark() });
  }

  #bookmarks(): void {
    if (this.#all.size === 0) return;
    const position = this.#source.position();
    const bookmark = this.#source.bookmark();
    for (const { out, view } of this.#all) {
      if (view === undefined && out.isWritable) out.write({ ...position, bookmark });
    }
  }
}

function concerns({ topics, services }: Subscription, change: StateChange): boolean {
  switch (change.kind) {
    case "node":
      return topics.has("catalog");
    case "service":
      return topics.has("catalog") && (services?.has(change.service.service) ?? true);
    case "check": {
      const { serviceName } = change.check;
      return topics.has("catalog") && (serviceName === "" || (services?.has(serviceName) ?? true));
    }
    case "kv":
      return topics.has("kv");
    case "session":
      return topics.has("sessions");
    case "coordinate":
      return topics.has("coordinates");
    case "document":
      return topics.has(`documents:${change.document.kind}`);
  }
}

function toRow(change: StateChange): ChangeInput {
  const { kind: _, ...row } = change;
  return row;
}
