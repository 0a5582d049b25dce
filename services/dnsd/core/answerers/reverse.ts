// Reverse lookups: an address → the node that has it, else the service that declares it.

import { type Asking, isFresh } from "../asking.ts";
import { formatIp, parseReverseName } from "../ip.ts";
import type { Question } from "../message.ts";
import { nameError, outcome, type Said, serverFailure } from "../outcome.ts";
import { typeCodes } from "../records/records.ts";
import { soaRecord } from "./zone.ts";

export function answerReverse(question: Question, asking: Asking): Said | "forward" {
  const { settings, contact } = asking;
  const target = pointedName(question.name, asking);
  if (target !== undefined) {
    const authority = question.type === typeCodes.SOA ? [soaRecord(question.name, asking)] : [];
    const { name: owner } = question;
    return {
      ...outcome({ answer: [{ kind: "PTR", owner, ttlSeconds: 0, target }] }),
      authority,
    };
  }
  if (settings.hasRecursors) return "forward";
  if (!isFresh(contact, settings, false)) return { ...serverFailure, authority: [] };
  return { ...nameError, authority: [soaRecord(question.name, asking)] };
}

function pointedName(name: string, asking: Asking): string | undefined {
  const { view, settings, contact } = asking;
  const bytes = parseReverseName(name);
  if (bytes === undefined || !isFresh(contact, settings, false)) return undefined;
  const ip = formatIp(bytes);
  const place = `${settings.datacenter}.${settings.domain}`;
  const node = asking.take(view.nodeWithAddress(ip));
  if (node !== "wait" && "rows" in node && node.rows !== undefined) {
    return `${node.rows.node}.node.${place}`;
  }
  const service = asking.take(view.serviceWithAddress(ip));
  if (service !== "wait" && "rows" in service && service.rows !== undefined) {
    return `${service.rows.service}.service.${place}`;
  }
  return undefined;
}
