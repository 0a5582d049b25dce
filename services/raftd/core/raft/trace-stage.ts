// A stage for golden traces: a few servers, a clock that moves only when told, messages that wait
// to be delivered; and every effect as one line of text.

import { Random } from "#shared/random.ts";
import type { Effect, Input } from "./machine.ts";
import { decodeConfiguration, encodeConfiguration } from "./membership.ts";
import type { Configuration, Entry, Message, Server } from "./messages.ts";
import { Raft } from "./raft.ts";
import { scaledSettings } from "./settings.ts";

interface Parcel {
  readonly from: string;
  readonly to: string;
  readonly input: Input;
}

const WALL_MS = 1_000_000;

/** Runs one command line and gives the lines that show what came of it. */
export class Stage {
  #rafts = new Map<string, Raft>();
  #nowMs = 0;
  #parcels: Parcel[] = [];
  #cut = new Set<string>();
  #lines: string[] = [];
  #nextId = 1;

  run(command: string): string[] {
    this.#lines = [];
    const [verb, ...args] = command.split(/\s+/);
    switch (verb) {
      case "servers":
        this.#open(args);
        break;
      case "advance":
        this.#nowMs += Number(args[0]);
        break;
      case "timeout":
        this.#timeout(args[0]!);
        break;
      case "heartbeat":
        this.#nowMs += 51;
        this.#step(args[0]!, { kind: "timer-fired", wallMs: WALL_MS + this.#nowMs });
        break;
      case "settle":
        this.#settle();
        break;
      case "cut":
        for (const link of args) this.#cut.add(link);
        break;
      case "join":
        this.#cut.clear();
        break;
      case "drop":
        this.#parcels = [];
        break;
      default:
        this.#ask(verb!, args);
    }
    return this.#lines.length > 0 ? this.#lines : ["ok"];
  }

  #ask(verb: string, [id, ...args]: string[]): void {
    switch (verb) {
      case "propose": {
        const bytes = new TextEncoder().encode(args[0]);
        const proposal = { id: this.#nextId++, kind: "command" as const, bytes };
        return this.#step(id!, { kind: "proposed", proposals: [proposal] });
      }
      case "read":
        return this.#step(id!, {
          kind: "read-requested",
          ids: [this.#nextId++],
          mode: args[0] as "default" | "consistent",
        });
      case "transfer":
        return this.#step(id!, { kind: "transfer-requested", id: this.#nextId++, to: args[0] });
      case "change": {
        const [kind, server] = args as ["add-nonvoter" | "promote" | "remove", string];
        const change = kind === "add-nonvoter"
          ? { kind, id: server, address: `${server}:8300` }
          : { kind, id: server };
        const number = this.#nextId++;
        return this.#step(id!, { kind: "configuration-change-proposed", id: number, change });
      }
      case "status": {
        const s = this.#rafts.get(id!)!.status(this.#nowMs);
        this.#lines.push(
          `${s.role} of term ${s.term}, leader ${s.leader || "none"}, log to ` +
            `${s.lastIndex}/${s.lastTerm}, commit ${s.commitIndex}, ` +
            `members ${membersText(s.configuration)}`,
        );
        return;
      }
      default:
        throw new Error(`expected a command of the stage, got ${verb}`);
    }
  }

  /** `servers s1 s2:1,1,2 s3- s4!`: the terms of the log after its configuration; - is a nonvoter;
   *  ! is blank and no member yet. */
  #open(specs: string[]): void {
    const parsed = specs.map((spec) => {
      const [, id, mark, terms] = /^(\w+?)([-!]?)(?::([\d,]+))?$/.exec(spec)!;
      return { id: id!, mark, terms: terms ? terms.split(",").map(Number) : [] };
    });
    const servers: Server[] = parsed.filter(({ mark }) => mark !== "!").map(({ id, mark }) => ({
      id,
      address: `${id}:8300`,
      suffrage: mark === "-" ? "nonvoter" : "voter",
    }));
    for (const [i, { id, mark, terms }] of parsed.entries()) {
      this.#rafts.set(id, opened(id, i, mark === "!" ? undefined : servers, terms));
      this.#step(id, { kind: "started", wallMs: WALL_MS });
    }
    this.#lines = [];
  }

  #timeout(id: string): void {
    const raft = this.#rafts.get(id)!;
    this.#nowMs = Math.max(this.#nowMs, raft.deadlineMs);
    this.#step(id, { kind: "timer-fired", wallMs: WALL_MS + this.#nowMs });
  }

  #settle(): void {
    for (let i = 0; this.#parcels.length > 0; i++) {
      if (i > 1_000) throw new Error("expected the servers to come to rest");
      const { to, input } = this.#parcels.shift()!;
      this.#step(to, input);
    }
  }

  #step(id: string, input: Input): void {
    const raft = this.#rafts.get(id);
    if (!raft) return;
    for (const effect of raft.step(input, this.#nowMs)) this.#perform(id, effect);
  }

  #perform(id: string, effect: Effect): void {
    const text = effectText(effect);
    if (effect.kind === "send") {
      const link = `${id}>${effect.to}`;
      this.#lines.push(`${link} ${text}${this.#cut.has(link) ? " (lost)" : ""}`);
      if (this.#cut.has(link)) return;
      const input: Input = { kind: "received", from: id, message: effect.message };
      this.#parcels.push({ from: id, to: effect.to, input });
    } else if (text !== "") this.#lines.push(`${id} ${text}`);
    if (effect.kind !== "persist") return;
    this.#parcels.push({ from: id, to: id, input: { kind: "persisted", seq: effect.seq } });
  }
}

function opened(id: string, i: number, servers: Server[] | undefined, terms: number[]): Raft {
  const entries = servers ? [configurationEntry(servers), ...terms.map(commandEntry)] : [];
  const termStarts = entries.filter((e, j) => e.term !== entries[j - 1]?.term)
    .map((e) => ({ term: e.term, firstIndex: e.index }));
  const restored = {
    hardState: { term: entries.at(-1)?.term ?? 0, votedFor: "" },
    base: { index: 0, term: 0 },
    lastIndex: entries.length,
    termStarts,
    tail: entries,
    stampMs: 0,
    applied: servers ? { index: 1, term: 1 } : { index: 0, term: 0 },
    configurations: entries.slice(0, 1).map((e) => decodeConfiguration(1, e.bytes)),
  };
  return new Raft({ id, settings: scaledSettings(1), random: new Random(i + 1), restored });
}

function configurationEntry(servers: Server[]): Entry {
  const bytes = encodeConfiguration(servers);
  return { index: 1, term: 1, kind: "configuration", stampMs: 0, origin: "", id: 0, bytes };
}

function commandEntry(term: number, i: number): Entry {
  const bytes = new Uint8Array(0);
  return { index: i + 2, term, kind: "command", stampMs: 0, origin: "", id: 0, bytes };
}

function membersText({ servers }: Configuration): string {
  return servers.map((s) => s.id + (s.suffrage === "nonvoter" ? "-" : "")).join(" ") || "none";
}

function effectText(effect: Effect): string {
  switch (effect.kind) {
    case "send":
      return messageText(effect.message);
    case "persist": {
      const { hardState, truncateFrom, entries } = effect;
      const vote = hardState && `term ${hardState.term} vote ${hardState.votedFor || "none"}`;
      const cut = truncateFrom === undefined ? undefined : `cut from ${truncateFrom}`;
      return ["writes", vote, cut, entriesText(entries)].filter(Boolean).join(" ");
    }
    case "commit":
      return `commits ${effect.index}`;
    case "publish-role":
      return `is ${effect.role} of term ${effect.term}, leader ${effect.leader || "none"}` +
        (effect.readyIndex > 0 ? ", ready" : "");
    case "publish-lease":
      return effect.untilMs === 0 ? "has no lease" : "";
    case "publish-configuration":
      return `has members ${membersText(effect.configuration)}`;
    case "answer-proposals":
      return `accepts ${effect.ids.join(" ")} at ${effect.firstIndex} of term ${effect.term}`;
    case "refuse-proposals":
      return `refuses ${effect.ids.join(" ")}: ${effect.refusal}, ${effect.message}`;
    case "answer-reads":
      return `reads ${effect.ids.join(" ")} at ${effect.index}`;
    case "refuse-reads":
      return `refuses reads ${effect.ids.join(" ")}: ${effect.refusal}`;
    case "answer-transfer":
      return `transfer ${effect.id}: ${effect.refusal || "done"}`;
    default:
      return effect.kind;
  }
}

function entriesText(entries: readonly Entry[]): string {
  return entries.map((e) => `${e.index}/${e.term}`).join(" ");
}

function messageText(m: Message): string {
  switch (m.kind) {
    case "pre-vote":
    case "vote":
      return `${m.kind} term ${m.term} log ${m.lastIndex}/${m.lastTerm}` +
        (m.kind === "vote" && m.transfer ? " transfer" : "");
    case "pre-vote-answer":
    case "vote-answer":
      return `${m.kind} term ${m.term} ${m.granted ? "yes" : "no"}`;
    case "append":
      return `append term ${m.term} after ${m.prevIndex}/${m.prevTerm} ` +
        `[${entriesText(m.entries)}] commit ${m.commitIndex}`;
    case "append-answer":
      return m.accepted
        ? `append-answer match ${m.matchIndex}`
        : `append-answer no at ${m.prevIndex}, term ${m.conflictTerm} from ${m.conflictIndex}`;
    case "heartbeat":
      return `heartbeat term ${m.term} round ${m.round} commit ${m.commitIndex}`;
    case "heartbeat-answer":
      return `heartbeat-answer term ${m.term} round ${m.round} match ${m.matchIndex}`;
    case "timeout-now":
      return `timeout-now term ${m.term}`;
    default:
      return m.kind;
  }
}
