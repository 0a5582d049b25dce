// Reads that were answered before under exactly this target: served from their entry's bytes
// without parsing anything but the request's head.

import type { ReadMode } from "../../core/params.ts";
import type { Exchange } from "../exchange.ts";
import { gzipBytesMin, type ReadEntry, type WholeForm } from "./entry.ts";
import type { Reads } from "./reads.ts";

interface Hot {
  entry: ReadEntry;
  mode: ReadMode;
  form: WholeForm;
}

export interface ColdPath {
  handleCold(exchange: Exchange): void;
}

const targetsMax = 50_000;
const leaderContact = { knownLeader: true, lastContactMs: 0 };

export class HotReads {
  readonly #reads: Reads;
  readonly #byTarget = new Map<string, Hot>();
  readonly #onAnswered: (status: number) => void;
  hits = 0;

  constructor(reads: Reads, onAnswered: (status: number) => void) {
    this.#reads = reads;
    this.#onAnswered = onAnswered;
  }

  /** Remembers a target whose read, with no header that matters, is this entry. */
  learn(exchange: Exchange, entry: ReadEntry, mode: ReadMode): void {
    if (hasOwnHeaders(exchange) || entry.isEvicted || !entry.isCompact) return;
    if (this.#byTarget.size >= targetsMax) {
      this.#byTarget.delete(this.#byTarget.keys().next().value!);
    }
    const form: WholeForm = { mode, contact: leaderContact, isStreaming: false };
    this.#byTarget.set(exchange.target, { entry, mode, form });
  }

  /** True: the request is being taken care of. */
  serve(exchange: Exchange, common: string, cold: ColdPath): boolean {
    const hot = this.#byTarget.get(exchange.target);
    if (hot === undefined) return false;
    const { entry, mode } = hot;
    if (entry.isEvicted) {
      this.#byTarget.delete(exchange.target);
      return false;
    }
    if (!entry.isTrue || !entry.isCompact) return false;
    if (!exchange.takesWhole || hasOwnHeaders(exchange)) return false;
    const nowMs = performance.now();
    if (mode === "stale") {
      const contact = this.#reads.hub.contact(nowMs);
      if (contact === undefined) return false;
      this.#answer(exchange, entry, { ...hot.form, contact }, common);
      this.#reads.cache.use(entry, nowMs);
      return true;
    }
    if (!this.#reads.hub.isDirect) return false;
    this.#reads.hub.confirm(mode, (isProven) => {
      if (!isProven || !entry.isTrue) return cold.handleCold(exchange);
      this.#answer(exchange, entry, hot.form, common);
      this.#reads.cache.use(entry, nowMs);
    });
    return true;
  }

  #answer(exchange: Exchange, entry: ReadEntry, form: WholeForm, common: string): void {
    this.hits++;
    this.#onAnswered(entry.evaluation!.answer.status);
    const isZipped = entry.evaluation!.answer.body.length >= gzipBytesMin &&
      /\r\naccept-encoding:[^\r]*\bgzip\b(?!\s*;\s*q=0)/.test(exchange.head.lower);
    exchange.answerWhole(entry.whole(form, common, isZipped));
  }
}

/** Tokens and enterprise headers change what a read means. */
function hasOwnHeaders(exchange: Exchange): boolean {
  const { lower } = exchange.head;
  return lower.includes("\r\nx-consul-") || lower.includes("\r\nauthorization:");
}
