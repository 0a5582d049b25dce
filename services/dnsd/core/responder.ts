// Datagram or TCP message → reply bytes: reads the question, answers from templates where it can,
// else makes the answer. No I/O: what must be fetched or forwarded goes to the shell.

import type { Random } from "#shared/random.ts";
import { answer } from "./answer.ts";
import { AnswerCache, type CacheSizes } from "./answer-cache.ts";
import type { Catalog } from "./catalog.ts";
import { isFresh } from "./asking.ts";
import { CatalogView, type FetchedRows, nothingFetched } from "./catalog-view.ts";
import { fit } from "./fit.ts";
import type { Draft, Query, Reply, Transport } from "./message.ts";
import { rcodes } from "./records/records.ts";
import type { DnsSettings } from "./settings.ts";
import { drawGroups } from "./shuffle.ts";
import { fixedTemplate, renderTemplate, shuffledTemplate, type Template } from "./template.ts";
import type { Contact, Need } from "./view.ts";
import { decodeQuery } from "./wire/query.ts";
import { encodeRefusal, encodeReply } from "./wire/reply.ts";

export type Handled =
  /** So many bytes of `out`. */
  | { kind: "reply"; bytes: number; rcode: number }
  | { kind: "drop"; why: "not-a-query" | "no-wire-form" }
  | { kind: "wait"; needs: Need[]; query: Query }
  | { kind: "forward"; query: Query };

/** What the message came by. */
export interface Arrival {
  transport: Transport;
  clientAddress: string;
  wallSeconds: number;
}

export class Responder {
  readonly out = new Uint8Array(0x10000);
  readonly #random: Random;
  readonly #cache: AnswerCache;
  #settings: DnsSettings;
  #catalog: Catalog;
  #contact: Contact;

  constructor(
    settings: DnsSettings,
    catalog: Catalog,
    contact: Contact,
    random: Random,
    sizes?: CacheSizes,
  ) {
    this.#settings = settings;
    this.#catalog = catalog;
    this.#contact = contact;
    this.#random = random;
    this.#cache = new AnswerCache(sizes);
  }

  get settings(): DnsSettings {
    return this.#settings;
  }

  set settings(settings: DnsSettings) {
    this.#settings = settings;
    this.#cache.clear();
  }

  get cachedCount(): number {
    return this.#cache.count;
  }

  /** A whole new view takes the place of the old one. */
  replaceCatalog(catalog: Catalog): void {
    this.#catalog = catalog;
    this.#cache.clear();
  }

  get contact(): Contact {
    return this.#contact;
  }

  /** Templates hold while the view is as fit to answer as it was. */
  set contact(contact: Contact) {
    const before = this.#contact;
    this.#contact = contact;
    for (const strict of [false, true]) {
      if (isFresh(before, this.#settings, strict) !== isFresh(contact, this.#settings, strict)) {
        this.#cache.clear();
      }
    }
  }

  /** The whole answer to a question that was asked before: its size, or 0 when there is none. */
  answerKnown(message: Uint8Array, arrival: Arrival): number {
    const template = this.#cache.byMessage(message, arrival.transport, this.#catalog.versions);
    return template === undefined ? 0 : this.#render(template, message, arrival);
  }

  handle(message: Uint8Array, arrival: Arrival, fetched: FetchedRows = nothingFetched): Handled {
    const received = decodeQuery(message);
    switch (received.kind) {
      case "drop":
        return { kind: "drop", why: "not-a-query" };
      case "refuse": {
        const { rcode } = received;
        const bytes = encodeRefusal(message, rcodes[rcode], rcode === "NOTIMP");
        this.out.set(bytes);
        return { kind: "reply", bytes: bytes.length, rcode: rcodes[rcode] };
      }
      case "query":
        return this.#answer(received.query, message, arrival, fetched);
      default:
        return received satisfies never;
    }
  }

  /** SERVFAIL in our own name, for what could not be fetched or forwarded. */
  fail(query: Query, arrival: Arrival, isOurs: boolean): Handled {
    const reply: Reply = {
      rcode: rcodes.SERVFAIL,
      authoritative: isOurs,
      truncated: false,
      answer: [],
      authority: [],
      additional: [],
      edns: query.edns && { ...query.edns, scopePrefix: 0 },
    };
    return this.#encode(query, reply, arrival);
  }

  #answer(query: Query, message: Uint8Array, arrival: Arrival, fetched: FetchedRows): Handled {
    const { transport, wallSeconds } = arrival;
    const view = new CatalogView(this.#catalog, this.#settings.datacenter, fetched);
    const { result: said, reads } = this.#catalog.versions.track(() =>
      answer(query, arrival.clientAddress, {
        view,
        contact: this.#contact,
        settings: this.#settings,
        random: this.#random,
        wallSeconds,
      })
    );
    if (said.kind === "wait") return { kind: "wait", needs: said.needs, query };
    if (said.kind === "forward") return { kind: "forward", query };
    const { draft } = said;
    // Reverse names and refusals are as cheap anew.
    const isPlain = said.repeatable && draft.fitted && fetched.size === 0 &&
      query.edns?.subnet === undefined;
    if (!isPlain || !this.#cache.isWanted(message)) {
      return this.#encode(query, this.#drawReply(query, draft, transport), arrival);
    }
    if (draft.groups.length > 1) {
      const template = draft.shuffled
        ? shuffledTemplate(query, draft, transport, this.#settings)
        : undefined;
      if (template === undefined) {
        return this.#encode(query, this.#drawReply(query, draft, transport), arrival);
      }
      this.#cache.add(message, transport, template, reads);
      const bytes = this.#render(template, message, arrival);
      return { kind: "reply", bytes, rcode: draft.rcode };
    }
    const reply = this.#drawReply(query, draft, transport);
    const handled = this.#encode(query, reply, arrival);
    if (handled.kind === "reply") {
      const bytes = this.out.slice(0, handled.bytes);
      const serialAt = findSerial(reply, bytes, wallSeconds);
      this.#cache.add(message, transport, fixedTemplate(bytes, serialAt), reads);
    }
    return handled;
  }

  #drawReply(query: Query, draft: Draft, transport: Transport): Reply {
    const drawn = drawGroups(draft, this.#random);
    const records = [...draft.answer, ...drawn.flatMap((group) => group.answer)];
    const extras = [...draft.additional, ...drawn.flatMap((group) => group.additional)];
    return fit(query, draft, records, extras, transport, this.#settings);
  }

  #encode(query: Query, reply: Reply, arrival: Arrival): Handled {
    const form = {
      compresses: !this.#settings.disableCompression,
      recursionAvailable: this.#settings.hasRecursors,
    };
    const room = arrival.transport === "tcp" ? this.out.subarray(0, 0xffff) : this.out;
    const bytes = encodeReply(query, reply, form, room);
    if (bytes === undefined) return { kind: "drop", why: "no-wire-form" };
    return { kind: "reply", bytes, rcode: reply.rcode };
  }

  #render(template: Template, message: Uint8Array, { wallSeconds }: Arrival): number {
    const id = (message[0]! << 8) | message[1]!;
    return renderTemplate(template, id, wallSeconds, this.#random, this.out);
  }
}

/** An SOA ends in serial and four more numbers: the serial is found from the numbers after it. */
function findSerial(reply: Reply, bytes: Uint8Array, wallSeconds: number): number {
  const soa = [...reply.answer, ...reply.authority].find(({ kind }) => kind === "SOA");
  if (soa?.kind !== "SOA") return 0;
  const pattern = new DataView(new ArrayBuffer(20));
  const numbers = [wallSeconds, soa.refresh, soa.retry, soa.expire, soa.minTtl];
  for (const [i, number] of numbers.entries()) pattern.setUint32(4 * i, number);
  const wanted = new Uint8Array(pattern.buffer);
  for (let at = bytes.length - 20; at >= 12; at--) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return 0;
}
