// A read as an endpoint describes it: what to ask of the state, and what to make of the answer.

import type { QueryInput, ReadReply } from "#proto/messages.js";
import type { Answer } from "../../core/answer.ts";
import type { Method } from "#shared/bus/types.ts";
import type { ReadMode } from "../../core/params.ts";

export interface ReadPlan {
  /** Equal for reads whose answers are the same bytes: the query and how it is rendered. */
  key: string;
  query: QueryInput;
  /** State.Read with another way to decode the answer. */
  method?: Method;
  /** Asked together with `query`, for sorting by distance. */
  also?: QueryInput;
  /** Status, type and body; the headers of reads are added to it. */
  render(reply: ReadReply, also: ReadReply | undefined): Answer;
  /** One object by its name: while it does not exist, other writes do not end a wait. */
  isSingle?: boolean;
  showsConsistency?: boolean;
  /** Blocking and cached calls answer as Consul's streaming backend does. */
  isStreamable?: boolean;
  /** Failures show the headers of reads. */
  failsWithHeaders?: boolean;
  /** The headers of reads, if they differ from the usual. */
  headersOf?(index: number): string;
}

/** What one evaluation of a plan gave. */
export interface Evaluation {
  answer: Answer;
  index: number;
  isNotFound: boolean;
  knownLeader: boolean;
  lastContactMs: number;
  generation: number;
  appliedIndex: number;
}

export interface Contact {
  knownLeader: boolean;
  lastContactMs: number;
}

/** The contact that a mode shows: only a stale read may come from a server without its leader. */
export function contactOf(mode: ReadMode, found: Contact): Contact {
  return mode === "stale" ? found : { knownLeader: true, lastContactMs: 0 };
}
