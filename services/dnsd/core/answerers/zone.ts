// The zone itself: SOA and NS. The name servers are the servers of the datacenter.

import { nodeAddress } from "../address.ts";
import { type Asking, isFresh } from "../asking.ts";
import { parseIp } from "../ip.ts";
import type { AnswerGroup, Question } from "../message.ts";
import { configuredDomain, responseDomain } from "../name.ts";
import { type Outcome, outcome, type Said } from "../outcome.ts";
import { addressRecord, type SoaRecord, typeCodes } from "../records/records.ts";
import type { NodeRow } from "../view.ts";
import { isHealthy } from "./service.ts";

const serversMax = 3;

/** Other names could not be put into a name server's name. */
const serverName = /^[A-Za-z0-9\\-]+$/;

export function answerSoa(question: Question, asking: Asking): Said {
  const servers = serverGroups(question, asking);
  return {
    ...outcome({
      answer: [soaRecord(question.name, asking)],
      additional: servers.flatMap((group) => group.additional),
    }),
    authority: servers.flatMap((group) => group.answer),
  };
}

export function answerNs(question: Question, asking: Asking): Outcome {
  return outcome({ groups: serverGroups(question, asking), shuffled: false });
}

/** The alternative domain is recognised in its own letter case only, and not at its apex: Consul
 *  answers so, and negative answers of both kinds are in the field. */
export function soaRecord(name: string, asking: Asking): SoaRecord {
  const { domain, altDomain, soa } = asking.settings;
  const zone = altDomain !== "" && name.endsWith("." + altDomain) ? altDomain : domain;
  return {
    kind: "SOA",
    owner: zone,
    ttlSeconds: soa.minTtl,
    mname: `ns.${zone}`,
    rname: `hostmaster.${zone}`,
    serial: asking.wallSeconds,
    refresh: soa.refresh,
    retry: soa.retry,
    expire: soa.expire,
    minTtl: soa.minTtl,
  };
}

/** Up to three servers in random order, each with its address. */
function serverGroups(question: Question, asking: Asking): AnswerGroup[] {
  const { settings } = asking;
  if (!isFresh(asking.contact, settings, false)) return [];
  const place = { datacenter: settings.datacenter, peer: "" };
  const got = asking.take(asking.view.instances("consul", place));
  if (got === "wait" || "failed" in got) return [];
  const nodes = got.rows
    .filter(({ checks }) => isHealthy(checks, settings.onlyPassing))
    .map((instance) => instance.node)
    .filter(({ node }) => serverName.test(node));
  if (nodes.length > 1) asking.drew = true;
  return asking.random.shuffle(nodes).slice(0, serversMax)
    .map((node) => serverGroup(node, question, asking));
}

function serverGroup(node: NodeRow, question: Question, asking: Asking): AnswerGroup {
  const { settings } = asking;
  const ttlSeconds = settings.nodeTtlSeconds;
  const domain = configuredDomain(question.name, settings);
  const target = `${node.node}.node.${settings.datacenter}.${domain}`;
  const bytes = parseIp(nodeAddress(node, typeCodes.ANY, settings));
  const glue = bytes && addressRecord(bytes, typeCodes.ANY, target, ttlSeconds);
  const owner = responseDomain(question.name, settings);
  return {
    answer: [{ kind: "NS", owner, ttlSeconds, target }],
    additional: glue === undefined ? [] : [glue],
  };
}
