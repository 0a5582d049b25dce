// One question being answered: what it may read, and what it still lacks.

import type { Random } from "#shared/random.ts";
import type { ErrorCode } from "#shared/errors.ts";
import type { Question } from "./message.ts";
import type { Outcome } from "./outcome.ts";
import type { DnsSettings } from "./settings.ts";
import type { Contact, Lookup, Need, QueryOrigin, View } from "./view.ts";

export interface World {
  view: View;
  contact: Contact;
  settings: DnsSettings;
  random: Random;
  wallSeconds: number;
}

/** The answerer of every name inside the domain; `cnames`: how many CNAMEs led to the name. */
export type NameAnswerer = (question: Question, asking: Asking, cnames: number) => Outcome;

export class Asking {
  readonly view: View;
  readonly contact: Contact;
  readonly settings: DnsSettings;
  readonly random: Random;
  readonly wallSeconds: number;
  readonly origin: QueryOrigin;
  /** EDNS lifts the limit on records that follow a CNAME. */
  readonly hasEdns: boolean;
  /** For the names that CNAMEs lead to. */
  readonly answerName: NameAnswerer;
  readonly needs: Need[] = [];
  /** Chance had a part in the draft itself, so the next one may differ. */
  drew = false;

  constructor(world: World, origin: QueryOrigin, hasEdns: boolean, answerName: NameAnswerer) {
    this.view = world.view;
    this.contact = world.contact;
    this.settings = world.settings;
    this.random = world.random;
    this.wallSeconds = world.wallSeconds;
    this.origin = origin;
    this.hasEdns = hasEdns;
    this.answerName = answerName;
  }

  /** The rows, or why there are none; what must be fetched is noted. */
  take<T>(lookup: Lookup<T>): { rows: T } | { failed: ErrorCode } | "wait" {
    switch (lookup.kind) {
      case "found":
        return { rows: lookup.rows };
      case "failed":
        return { failed: lookup.code };
      case "wait":
        this.needs.push(lookup.need);
        return "wait";
      default:
        return lookup satisfies never;
    }
  }
}

/** How long the feeding server may be silent and still count as reached. */
const reachedMs = 5_000;

/** Whether the view may answer; `strict` forbids stale rows whatever the settings say. */
export function isFresh(contact: Contact, settings: DnsSettings, strict: boolean): boolean {
  if (!contact.complete || contact.silentMs > settings.viewMaxAgeMs) return false;
  const mayBeStale = !strict && settings.allowStale && contact.lastContactMs <= settings.maxStaleMs;
  return mayBeStale || (contact.knownLeader && contact.silentMs <= reachedMs);
}
