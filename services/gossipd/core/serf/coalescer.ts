// Serf's coalescing: news waits until it has been calm for a while, or for a period at most; then only
// the latest counts, of each member, or of each user event's name. Off where a period is 0.
import type { Effect, MemberChange } from "../border.ts";
import type { Settings } from "../settings.ts";

export type Report = Extract<Effect, { kind: "report" }>;
export type UserEventTold = Extract<Effect, { kind: "user-event" }>;

/** What may be told, and when to look again. */
export interface Due<News> {
  news: News[];
  lookAfterMs: number | undefined;
}

/** More than that are not kept waiting. */
const waitingMax = 4_096;

abstract class Coalescer<News> {
  readonly #periodMs: number;
  readonly #quiescentMs: number;
  #beganMs: number | undefined;
  #lastMs = 0;

  constructor(periodMs: number, quiescentMs: number) {
    this.#periodMs = periodMs;
    this.#quiescentMs = quiescentMs;
  }

  protected abstract takes(news: News): boolean;
  protected abstract merge(news: News): void;
  protected abstract waitingCount(): number;
  protected abstract drain(): News[];

  add(news: News, nowMs: number): Due<News> {
    const isOn = this.#periodMs > 0 && this.#quiescentMs > 0;
    if (!isOn || !this.takes(news)) return { news: [news], lookAfterMs: undefined };
    this.merge(news);
    if (this.waitingCount() >= waitingMax) return { news: this.flush(), lookAfterMs: undefined };
    this.#lastMs = nowMs;
    // A look is already due; it will see that the calm was broken.
    if (this.#beganMs !== undefined) return { news: [], lookAfterMs: undefined };
    this.#beganMs = nowMs;
    return { news: [], lookAfterMs: Math.min(this.#periodMs, this.#quiescentMs) };
  }

  look(nowMs: number): Due<News> {
    if (this.#beganMs === undefined) return { news: [], lookAfterMs: undefined };
    const endMs = Math.min(this.#beganMs + this.#periodMs, this.#lastMs + this.#quiescentMs);
    if (nowMs < endMs) return { news: [], lookAfterMs: endMs - nowMs };
    return { news: this.flush(), lookAfterMs: undefined };
  }

  flush(): News[] {
    this.#beganMs = undefined;
    return this.drain();
  }
}

export class MemberCoalescer extends Coalescer<Report> {
  readonly #latest = new Map<string, Report>();
  /** What was told last of each member. */
  readonly #told = new Map<string, MemberChange>();

  constructor(settings: Pick<Settings, "coalescePeriodMs" | "quiescentPeriodMs">) {
    super(settings.coalescePeriodMs, settings.quiescentPeriodMs);
  }

  protected takes(): boolean {
    return true;
  }

  protected merge(report: Report): void {
    this.#latest.set(report.member.name, report);
  }

  protected waitingCount(): number {
    return this.#latest.size;
  }

  protected drain(): Report[] {
    const reports = [...this.#latest.values()].filter(({ change, member }) => {
      const isKnown = this.#told.get(member.name) === change;
      if (change === "reaped") this.#told.delete(member.name);
      else this.#told.set(member.name, change);
      // Who failed and came back in between has changed nothing; new tags are always news.
      return !isKnown || change === "updated";
    });
    this.#latest.clear();
    return reports;
  }
}

export class EventCoalescer extends Coalescer<UserEventTold> {
  /** By name: all of the newest Lamport time. */
  readonly #latest = new Map<string, UserEventTold[]>();
  #waitingCount = 0;

  constructor(settings: Pick<Settings, "userCoalescePeriodMs" | "userQuiescentPeriodMs">) {
    super(settings.userCoalescePeriodMs, settings.userQuiescentPeriodMs);
  }

  protected takes(event: UserEventTold): boolean {
    return event.coalesce;
  }

  protected merge(event: UserEventTold): void {
    const latest = this.#latest.get(event.name) ?? [];
    const latestLTime = latest[0]?.lTime ?? -1;
    if (event.lTime < latestLTime) return;
    const next = event.lTime === latestLTime ? [...latest, event] : [event];
    this.#latest.set(event.name, next);
    this.#waitingCount += next.length - latest.length;
  }

  protected waitingCount(): number {
    return this.#waitingCount;
  }

  protected drain(): UserEventTold[] {
    const events = [...this.#latest.values()].flat();
    this.#latest.clear();
    this.#waitingCount = 0;
    return events;
  }
}
