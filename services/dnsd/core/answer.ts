// Question and view → draft of a reply: which zone, which answerer, which code (spec §2 to §4, §11).

import { Asking, type World } from "./asking.ts";
import { answerReverse } from "./answerers/reverse.ts";
import { answerName } from "./answerers/table.ts";
import { answerNs, answerSoa, soaRecord } from "./answerers/zone.ts";
import { isWithin } from "./domain-name.ts";
import type { Draft, Query, Question, ReplyEdns } from "./message.ts";
import { type Outcome, outcome, type Said } from "./outcome.ts";
import { rcodes, typeCodes } from "./records/records.ts";
import type { DnsSettings } from "./settings.ts";
import type { Need } from "./view.ts";

export type Answer =
  /** `repeatable`: the same question gets the same draft until a row that it was made of changes. */
  | { kind: "reply"; draft: Draft; repeatable: boolean }
  /** These must be fetched first; then the question is put again. */
  | { kind: "wait"; needs: Need[] }
  /** Not ours: the recursors are asked. */
  | { kind: "forward" };

export type Zone = "reverse" | "domain" | "forward" | "none";

export function answer(query: Query, clientAddress: string, world: World): Answer {
  const { question } = query;
  const { settings } = world;
  const zone = question === undefined ? "none" : zoneOf(question, settings);
  if (zone === "forward") return { kind: "forward" };
  if (question === undefined || zone === "none") return refusal();
  const origin = { clientAddress, subnet: query.edns?.subnet };
  const asking = new Asking(world, origin, query.edns !== undefined, answerName);
  const said = zone === "reverse"
    ? answerReverse(question, asking)
    : answerInDomain(question, asking);
  if (asking.needs.length > 0) return { kind: "wait", needs: asking.needs };
  if (said === "forward") return { kind: "forward" };
  const draft: Draft = {
    rcode: said.rcode,
    authoritative: true,
    answer: said.answer,
    groups: said.groups,
    take: said.take,
    shuffled: said.shuffled,
    authority: said.authority,
    additional: said.additional,
    fitted: zone === "domain",
    edns: replyEdns(query, said),
  };
  return { kind: "reply", draft, repeatable: !asking.drew };
}

/** What is asked of us although no recursor is there; Consul then leaves out even the OPT. */
function refusal(): Answer {
  const { answer, groups, take, shuffled, additional } = outcome({});
  const draft = { rcode: rcodes.REFUSED, authoritative: false, authority: [], fitted: false };
  return {
    kind: "reply",
    draft: { ...draft, answer, groups, take, shuffled, additional, edns: undefined },
    repeatable: true,
  };
}

/** The most specific zone wins; for DS the least specific, as the parent zone holds it. */
export function zoneOf(question: Question, settings: DnsSettings): Zone {
  const name = question.name.toLowerCase();
  if (settings.hasRecursors && question.type === typeCodes.DS) return "forward";
  if (isWithin(name, settings.domain)) return "domain";
  if (settings.altDomain !== "" && isWithin(name, settings.altDomain)) return "domain";
  if (isWithin(name, "arpa.")) return "reverse";
  return settings.hasRecursors ? "forward" : "none";
}

function answerInDomain(question: Question, asking: Asking): Said {
  switch (question.type) {
    case typeCodes.SOA:
      return answerSoa(question, asking);
    case typeCodes.NS:
      return { ...answerNs(question, asking), authority: [] };
    case typeCodes.AXFR:
      return { ...outcome({ rcode: rcodes.NOTIMP }), authority: [] };
    default: {
      const said = answerName(question, asking, 0);
      const authority = said.showsSoa ? [soaRecord(question.name, asking)] : [];
      return { ...said, authority };
    }
  }
}

function replyEdns(query: Query, said: Outcome): ReplyEdns | undefined {
  if (query.edns === undefined) return undefined;
  const { subnet } = query.edns;
  const isScoped = said.scoped && said.rcode === rcodes.NOERROR;
  return { ...query.edns, scopePrefix: isScoped ? subnet?.sourcePrefix ?? 0 : 0 };
}
