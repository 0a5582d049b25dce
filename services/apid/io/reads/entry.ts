// One cached read: its bytes, whether they are still true, and who waits for them to change.

import { httpDate } from "../date-line.ts";
import { type Answer, readHeaders } from "../../core/answer.ts";
import type { ReadMode } from "../../core/params.ts";
import { statusLine } from "../exchange.ts";
import { type Contact, contactOf, type Evaluation, type ReadPlan } from "./plan.ts";
import type { Watcher } from "./watch-hub.ts";

/** Bodies below this are never compressed (spec: http-api 1.4). */
export const gzipBytesMin = 1400;

/** Larger bodies are sent from where they are, behind a head of their own. */
const wholeBytesMax = 256 << 10;

export class ReadEntry implements Watcher {
  readonly plan: ReadPlan;
  evaluation: Evaluation | undefined;
  /** Number in the hub; 0: not watched. */
  watchId = 0;
  /** Highest index as of which the answer was called changed since it was watched. */
  changedIndex = 0;
  /** The evaluation was made after the watch began, and nothing was called changed since. */
  isTrue = false;
  isEvicted = false;
  lastUsedMs = 0;
  fetchedAtMs = 0;
  /** Served to `?cached` before. */
  isCacheFilled = false;
  /** Blocked reads; while there are any the entry is not evicted. */
  readonly waiters = new Set<() => void>();
  readonly #whole = new Map<string, { bytes: Buffer; dateAt: number; date: string }>();

  constructor(plan: ReadPlan) {
    this.plan = plan;
  }

  changed(index: number): void {
    if (this.isTrue && index <= this.evaluation!.appliedIndex) return;
    this.changedIndex = Math.max(this.changedIndex, index);
    this.isTrue = false;
    this.#wake();
  }

  lost(): void {
    this.watchId = 0;
    this.changedIndex = 0;
    this.isTrue = false;
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.waiters]) wake();
  }

  /** Takes what was read while this watch was in force. */
  store(evaluation: Evaluation, nowMs: number): void {
    this.evaluation = evaluation;
    this.fetchedAtMs = nowMs;
    this.isTrue = this.watchId !== 0 && evaluation.appliedIndex >= this.changedIndex;
    this.#whole.clear();
  }

  /** With room for one ready-made answer beside the body. */
  get bytes(): number {
    const body = this.evaluation?.answer.body.length ?? 0;
    return 600 + this.plan.key.length * 2 + (this.isCompact ? body * 2 : body);
  }

  /** Small enough that ready-made answers are kept beside the body. */
  get isCompact(): boolean {
    return (this.evaluation?.answer.body.length ?? 0) <= wholeBytesMax;
  }

  /** The whole HTTP answer, ready to send. `common`: header lines that every answer carries. */
  whole(form: WholeForm, common: string, gzip: boolean): Buffer {
    const shown = contactOf(form.mode, form.contact);
    const key = `${form.mode}${shown.lastContactMs}${shown.knownLeader}${form.isStreaming}${gzip}`;
    let made = this.#whole.get(key);
    const date = httpDate();
    if (made === undefined) {
      if (this.#whole.size > 4) this.#whole.clear();
      made = this.#make(form, shown, common, gzip, date);
      this.#whole.set(key, made);
    } else if (made.date !== date) {
      made.bytes.write(date, made.dateAt, "latin1");
      made.date = date;
    }
    return made.bytes;
  }

  #make(form: WholeForm, contact: Contact, common: string, gzip: boolean, date: string) {
    const { answer } = this.evaluation!;
    const body = typeof answer.body === "string" ? Buffer.from(answer.body) : answer.body;
    const sent = gzip && body.length >= gzipBytesMin ? Bun.gzipSync(Buffer.from(body)) : body;
    const lines = statusLine(answer.status) +
      (answer.contentType === "" ? "" : `Content-Type: ${answer.contentType}\r\n`) +
      (sent === body ? "" : "Content-Encoding: gzip\r\n") +
      common + answer.headers +
      entryHeaders(this.plan, this.evaluation!, form.mode, contact, form.isStreaming);
    const head = `${lines}Date: ${date}\r\nContent-Length: ${sent.length}\r\n\r\n`;
    return {
      bytes: Buffer.concat([Buffer.from(head, "latin1"), sent]),
      dateAt: lines.length + "Date: ".length,
      date,
    };
  }
}

export interface WholeForm {
  mode: ReadMode;
  contact: Contact;
  isStreaming: boolean;
}

/** An answer that is sent as the entry's ready-made bytes while they are the same. */
export function entryAnswer(entry: ReadEntry, evaluation: Evaluation, form: WholeForm): Answer {
  const answer = withReadHeaders(entry.plan, evaluation, form.mode, form.isStreaming);
  const isSame = entry.evaluation?.answer === evaluation.answer &&
    entry.evaluation.index === evaluation.index;
  if (!isSame || !entry.isCompact) return answer;
  return { ...answer, whole: (common, gzip) => entry.whole(form, common, gzip) };
}

export function entryHeaders(
  plan: ReadPlan,
  evaluation: Evaluation,
  mode: ReadMode,
  contact: Contact,
  isStreaming: boolean,
): string {
  if (plan.headersOf !== undefined) return plan.headersOf(evaluation.index);
  return readHeaders({
    index: evaluation.index,
    ...contactOf(mode, contact),
    mode,
    showsConsistency: plan.showsConsistency === true,
    isStreaming,
  });
}

export function withReadHeaders(
  plan: ReadPlan,
  evaluation: Evaluation,
  mode: ReadMode,
  isStreaming: boolean,
  extra = "",
): Answer {
  const { answer } = evaluation;
  const headers = entryHeaders(plan, evaluation, mode, evaluation, isStreaming);
  return { ...answer, headers: answer.headers + headers + extra };
}
