// The lookup that a name inside the domain stands for → its answerer.

import { type Asking, isFresh } from "../asking.ts";
import type { Question } from "../message.ts";
import { parseConsulName } from "../name.ts";
import { nameError, type Outcome, serverFailure } from "../outcome.ts";
import { answerAddr } from "./addr.ts";
import { answerNode } from "./node.ts";
import { answerPreparedQuery } from "./prepared-query.ts";
import { answerMesh, answerService } from "./service.ts";
import { answerVirtual } from "./virtual.ts";

/** `cnames`: how many CNAMEs led here. */
export function answerName(question: Question, asking: Asking, cnames: number): Outcome {
  const name = parseConsulName(question.name, question.type, asking.settings);
  if (name.kind === "invalid") return nameError;
  if (name.kind === "addr") return answerAddr(name.label, question, asking);
  const strict = name.kind === "virtual";
  if (!isFresh(asking.contact, asking.settings, strict)) return serverFailure;
  switch (name.kind) {
    case "node":
      return answerNode(name.node, name.place, question, asking, cnames);
    case "service":
      return answerService(name.service, name.tag, name.place, question, asking, cnames);
    case "connect":
    case "ingress":
      return answerMesh(name.kind, name.service, name.place, question, asking, cnames);
    case "virtual":
      return answerVirtual(name.service, name.peer, question, asking);
    case "query":
      return answerPreparedQuery(name.query, name.datacenter, question, asking, cnames);
    default:
      return name satisfies never;
  }
}
