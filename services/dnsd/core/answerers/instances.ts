// Instances → records: addresses, or SRV with the addresses of their targets (spec §5).

import { nodeAddress, serviceAddress, servicePort } from "../address.ts";
import type { Asking } from "../asking.ts";
import { toFqdn } from "../domain-name.ts";
import { formatAddrLabel, parseIp } from "../ip.ts";
import type { AnswerGroup, Question } from "../message.ts";
import { responseDomain } from "../name.ts";
import { type Outcome, outcome } from "../outcome.ts";
import { metaRecords } from "../records/node-meta.ts";
import {
  type AddressRecord,
  addressRecord,
  recordText,
  type ResourceRecord,
  typeCodes,
} from "../records/records.ts";
import type { CheckRow, Instance, Place, ServiceRow } from "../view.ts";
import { followCname } from "./cname.ts";

/** So many records follow a CNAME, unless the client speaks EDNS. */
const followingMax = 5;

interface Lookup {
  question: Question;
  place: Place;
  ttlSeconds: number;
  asking: Asking;
  cnames: number;
}

export function instancesOutcome(
  instances: Instance[],
  place: Place,
  ttlSeconds: number,
  question: Question,
  asking: Asking,
  cnames: number,
): Outcome {
  const lookup: Lookup = { question, place, ttlSeconds, asking, cnames };
  return question.type === typeCodes.SRV
    ? srvOutcome(instances, lookup)
    : addressOutcome(instances, lookup);
}

function addressOutcome(instances: Instance[], lookup: Lookup): Outcome {
  const seen = new Set<string>();
  const groups: AnswerGroup[] = [];
  const aliases: AnswerGroup[] = [];
  for (const instance of instances) {
    const answer = addressRecords(instance, lookup);
    if (answer.length === 0) continue;
    const text = recordText(answer[0]!);
    if (seen.has(text)) continue;
    seen.add(text);
    (answer[0]!.kind === "CNAME" ? aliases : groups).push({ answer, additional: [] });
  }
  if (groups.length > 0) {
    return outcome({ groups, take: lookup.asking.settings.aRecordLimit || undefined });
  }
  // A name has at most one CNAME: one instance stands for all.
  return outcome({ groups: aliases, take: 1, showsSoa: aliases.length === 0 });
}

function addressRecords(instance: Instance, lookup: Lookup): ResourceRecord[] {
  const { question, ttlSeconds } = lookup;
  const shown = shownAddress(instance, lookup);
  switch (shown.kind) {
    case "none":
      return [];
    case "host": {
      const { target } = shown;
      const alias: ResourceRecord = { kind: "CNAME", owner: question.name, ttlSeconds, target };
      return [alias, ...following(target, lookup, lookup.cnames + 1)];
    }
    case "ip": {
      const record = addressRecord(shown.bytes, question.type, question.name, ttlSeconds);
      return record === undefined ? [] : [record];
    }
    default:
      return shown satisfies never;
  }
}

function srvOutcome(instances: Instance[], lookup: Lookup): Outcome {
  const { question, ttlSeconds, asking } = lookup;
  const seen = new Set<string>();
  const groups: AnswerGroup[] = [];
  for (const instance of instances) {
    const { node, service, checks } = instance;
    const datacenter = lookup.place.datacenter;
    const port = servicePort(service, datacenter, asking.settings);
    const address = serviceAddress(service, typeCodes.SRV, datacenter, asking.settings);
    const key = `${node.node} ${address} ${port}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const shown = shownAddress(instance, lookup);
    if (shown.kind === "none") continue;
    const additional = shown.kind === "host"
      ? following(shown.target, lookup, 0)
      : [glue(shown.bytes, shown.target, ttlSeconds)];
    if (asking.settings.nodeMetaTxt) {
      additional.push(...metaRecords(node, nodeName(instance, lookup), ttlSeconds));
    }
    const weight = weightOf(service, checks);
    const { target } = shown;
    const owner = question.name;
    groups.push({
      answer: [{ kind: "SRV", owner, ttlSeconds, priority: 1, weight, port, target }],
      additional,
    });
  }
  return outcome({ groups, showsSoa: groups.length === 0 });
}

function glue(bytes: Uint8Array, owner: string, ttlSeconds: number): AddressRecord {
  return { kind: bytes.length === 4 ? "A" : "AAAA", owner, ttlSeconds, bytes };
}

type Shown =
  | { kind: "none" }
  | { kind: "ip"; bytes: Uint8Array; target: string }
  | { kind: "host"; target: string };

/** The address that stands for the instance, and the name under which an SRV points to it. */
function shownAddress(instance: Instance, lookup: Lookup): Shown {
  const { question, place, asking } = lookup;
  const { node, service } = instance;
  const ofService = serviceAddress(service, question.type, place.datacenter, asking.settings);
  const ofNode = nodeAddress(node, question.type, asking.settings);
  if (ofService === "" && ofNode === "") return { kind: "none" };
  const serviceIp = ofService === "" ? undefined : parseIp(ofService);
  if (serviceIp !== undefined) {
    return { kind: "ip", bytes: serviceIp, target: addrName(serviceIp, instance, lookup) };
  }
  const nodeIp = parseIp(ofNode);
  // An address that names the service itself would lead in a circle.
  const isOwnName = ofService !== "" && toFqdn(ofService) === question.name;
  if (nodeIp !== undefined && (ofService === "" || isOwnName)) {
    const isTranslated = ofService === "" && ofNode !== node.address;
    const target = isTranslated ? addrName(nodeIp, instance, lookup) : nodeName(instance, lookup);
    return { kind: "ip", bytes: nodeIp, target };
  }
  return { kind: "host", target: toFqdn(ofService || ofNode) };
}

function nodeName({ node }: Instance, { question, place, asking }: Lookup): string {
  const domain = responseDomain(question.name, asking.settings);
  if (node.peerName !== "") return `${node.node}.node.${node.peerName}.peer.${domain}`;
  return `${node.node}.node.${node.datacenter || place.datacenter}.${domain}`;
}

function addrName(bytes: Uint8Array, { node }: Instance, lookup: Lookup): string {
  const domain = responseDomain(lookup.question.name, lookup.asking.settings);
  const label = formatAddrLabel(bytes);
  if (node.peerName !== "") return `${label}.addr.${domain}`;
  return `${label}.addr.${node.datacenter || lookup.place.datacenter}.${domain}`;
}

function following(target: string, lookup: Lookup, cnames: number): ResourceRecord[] {
  const { asking, ttlSeconds } = lookup;
  const records = followCname(target, asking, cnames)
    .filter(({ kind }) => kind === "CNAME" || kind === "A" || kind === "AAAA")
    .map((record) => ({ ...record, ttlSeconds }));
  return asking.hasEdns && lookup.cnames === 0 ? records : records.slice(0, followingMax);
}

/** By the worst of its checks; a status of another kind weighs 1. */
function weightOf({ weights }: ServiceRow, checks: CheckRow[]): number {
  const { passing, warning } = weights ?? { passing: 1, warning: 1 };
  let weight = passing;
  for (const { status } of checks) {
    if (status === "warning") weight = warning;
    else if (status !== "passing") return 1;
  }
  return weight;
}
