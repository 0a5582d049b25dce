// `<node>.node`: a node's address and metadata, whatever its health.

import { nodeAddress } from "../address.ts";
import type { Asking } from "../asking.ts";
import { toFqdn } from "../domain-name.ts";
import { parseIp } from "../ip.ts";
import type { Question } from "../message.ts";
import { empty, nameError, type Outcome, outcome, serverFailure } from "../outcome.ts";
import { addressRecord, type ResourceRecord, typeCodes } from "../records/records.ts";
import { metaRecords } from "../records/node-meta.ts";
import type { NodeRow, Place } from "../view.ts";
import { followCname } from "./cname.ts";

export function answerNode(
  name: string,
  place: Place,
  question: Question,
  asking: Asking,
  cnames: number,
): Outcome {
  const { type } = question;
  const isAddressType = type === typeCodes.A || type === typeCodes.AAAA || type === typeCodes.ANY;
  // Other types are not even looked up, so an unknown node has them too.
  if (!isAddressType && type !== typeCodes.TXT) return empty;
  const got = asking.take(asking.view.node(name, place));
  if (got === "wait") return serverFailure;
  if ("failed" in got) return got.failed === "no-path-to-datacenter" ? nameError : serverFailure;
  if (got.rows === undefined) return nameError;
  const { nodeTtlSeconds, nodeMetaTxt } = asking.settings;
  const answer = isAddressType ? nodeRecords(got.rows, question, asking, cnames) : [];
  const additional: ResourceRecord[] = [];
  const meta = metaRecords(got.rows, question.name, nodeTtlSeconds);
  if (type === typeCodes.ANY || type === typeCodes.TXT) answer.push(...meta);
  else if (nodeMetaTxt) additional.push(...meta);
  return outcome({ answer, additional });
}

function nodeRecords(
  node: NodeRow,
  question: Question,
  asking: Asking,
  cnames: number,
): ResourceRecord[] {
  const { name: owner, type } = question;
  const ttlSeconds = asking.settings.nodeTtlSeconds;
  const address = nodeAddress(node, type, asking.settings);
  const bytes = parseIp(address);
  if (bytes !== undefined) {
    const record = addressRecord(bytes, type, owner, ttlSeconds);
    return record === undefined ? [] : [record];
  }
  if (address === "") return [];
  const target = toFqdn(address);
  return [
    { kind: "CNAME", owner, ttlSeconds, target },
    ...followCname(target, asking, cnames + 1),
  ];
}
