// State.Subscribe: the rows of some topics, then every change of them in log order, grouped by index.
// A reader that falls behind gets the rows again instead of a queue without end.

import type { ChangeBatchInput, ChangeInput, SubscribeRequest } from "#proto/messages.js";
import type { OutStream } from "#shared/bus/types.ts";
import { CuriaError } from "#shared/errors.ts";
import { ChangeHistory } from "../state/change-history.ts";
import type { ChangeGroup, StateChange } from "../state/journal.ts";
import type { Store } from "../state/store.ts";
import type { AppliedChanges } from "../state/store-types.ts";
import { Subscription, unknownTopic } from "../state/subscription.ts";

export interface SubscriptionSource {
  files: { readonly current: Store };
  position(): { index: number; generation: number };
  bookmark(): {
    index: number;
    generation: number;
    knownLeader: boolean;
    lastContactMs: number;
  };
}

interface Subscriber {
  wants: Subscription;
  request: SubscribeRequest;
  out: OutStream<ChangeBatchInput>;
  /** The view being sent, until it is whole. */
  view: Iterator<StateChange[]> | undefined;
  /** What changed while the view was being sent. */
  held: ChangeBatchInput[];
}

const QUEUED_BYTES_MAX = 16 * 1024 * 1024;
const BOOKMARK_MS = 1_000;
/** Changes kept for subscribers that come back within seconds. */
const HISTORY_BYTES_MAX = 8 * 1024 * 1024;

export class Subscriptions {
  readonly #source: SubscriptionSource;
  readonly #all = new Set<Subscriber>();
  readonly #history: ChangeHistory;
  readonly #timer: Timer;

  constructor(source: SubscriptionSource) {
    this.#source = source;
    this.#history = new ChangeHistory(source.position().index, HISTORY_BYTES_MAX);
    this.#timer = setInterval(() => this.bookmark(), BOOKMARK_MS);
  }

  get count(): number {
    return this.#all.size;
  }

  open(request: SubscribeRequest, out: OutStream<ChangeBatchInput>): void {
    const unknown = request.topics.length === 0 ? "" : unknownTopic(request.topics);
    if (unknown !== undefined) {
      throw new CuriaError("invalid-argument", `Expected topics but got "${unknown}"`);
    }
    const subscription: Subscriber = {
      wants: new Subscription(request),
      request,
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
      this.#history.reset(this.#source.position().index);
      for (const subscription of this.#all) this.#sendView(subscription);
      return;
    }
    this.#history.push(changes.groups);
    if (this.#all.size === 0) return;
    for (const group of changes.groups) {
      for (const subscription of this.#all) this.#send(subscription, group);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    for (const { out } of this.#all) out.end();
  }

  /** Goes on where the caller stopped, when all changes since are still known. */
  #resume(subscription: Subscriber, { afterIndex, generation }: SubscribeRequest): boolean {
    const position = this.#source.position();
    // With a list of services the nodes that were sent are not known any more.
    if (afterIndex === 0 || subscription.request.services.length > 0) return false;
    if (subscription.request.topics.includes("kv")) return false;
    if (generation !== position.generation || afterIndex > position.index) return false;
    const missed = this.#history.after(afterIndex);
    if (missed === undefined) return false;
    for (const group of missed) this.#send(subscription, group);
    subscription.out.write({ ...position, bookmark: this.#source.bookmark() });
    return true;
  }

  #send(subscription: Subscriber, group: ChangeGroup): void {
    const { tables } = this.#source.files.current;
    const rows = subscription.wants.changesOf(group, tables).map(toRow);
    if (rows.length === 0) return;
    const { generation } = this.#source.position();
    const batch = { index: group.index, generation, changes: rows };
    if (subscription.view !== undefined) subscription.held.push(batch);
    else if (subscription.out.queuedBytes > QUEUED_BYTES_MAX) this.#sendView(subscription);
    else subscription.out.write(batch);
  }

  #sendView(subscription: Subscriber): void {
    const wasSending = subscription.view !== undefined;
    subscription.held = [];
    subscription.wants = new Subscription(subscription.request);
    subscription.view?.return?.();
    subscription.view = this.#source.files.current.viewOf(subscription.wants)[Symbol.iterator]();
    subscription.out.write({ ...this.#source.position(), resync: true });
    if (!wasSending) void this.#pump(subscription);
  }

  async #pump(subscription: Subscriber): Promise<void> {
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
    subscription.view?.return?.();
    subscription.view = undefined;
    const position = this.#source.position();
    // Rows of the view may be newer than what was held; in order, the last word is the newest.
    for (const batch of subscription.held.splice(0)) out.write(batch);
    out.write({ ...position, viewComplete: true, bookmark: this.#source.bookmark() });
  }

  /** Tells everyone where the state is and whether a leader is known; each second, and when that
   *  changes. */
  bookmark(): void {
    if (this.#all.size === 0) return;
    const position = this.#source.position();
    const bookmark = this.#source.bookmark();
    for (const { out, view } of this.#all) {
      if (view === undefined && out.isWritable) out.write({ ...position, bookmark });
    }
  }
}

function toRow(change: StateChange): ChangeInput {
  const { kind: _, ...row } = change;
  return row;
}
