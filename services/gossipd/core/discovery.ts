// Discovery as retry_join spells it (`provider=mdns service=…`), and what answers of multicast DNS
// (RFC 6762, RFC 6763) amount to: instances of a service, each with a port and an address.

/** What needs no cloud; others are refused by name. */
export interface MdnsQuestion {
  /** Fully qualified, lower case, without the last dot. */
  name: string;
  timeoutMs: number;
  /** IPv6 addresses are taken, and before IPv4 ones. */
  v6: boolean;
  v4: boolean;
}

export interface DnsRecord {
  name: string;
  type: string;
  /** By type: PTR a name, SRV {target, port}, A and AAAA an address. */
  data: unknown;
}

const instancesMax = 1_024;
const pairPattern = /\s*([^\s=]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/y;

/** The pairs of `key=value key="with spaces"`; undefined: not of that form. */
export function parsePairs(text: string): Map<string, string> | undefined {
  const pairs = new Map<string, string>();
  pairPattern.lastIndex = 0;
  while (pairPattern.lastIndex < text.trimEnd().length) {
    const match = pairPattern.exec(text);
    if (match === null) return undefined;
    pairs.set(match[1]!, match[2]?.replace(/\\(.)/g, "$1") ?? match[3]!);
  }
  return pairs;
}

/** The question, or why there is none. `durationMs` reads Go's durations. */
export function mdnsQuestion(
  pairs: ReadonlyMap<string, string>,
  durationMs: (text: string) => number | undefined,
): MdnsQuestion | string {
  const service = (pairs.get("service") ?? "").replace(/\.+$/, "");
  if (service === "") return "provider=mdns needs service=<name>, for example service=_consul._tcp";
  const timeout = pairs.get("timeout") ?? "5s";
  const timeoutMs = durationMs(timeout);
  if (timeoutMs === undefined || timeoutMs <= 0) {
    return `provider=mdns: expected a duration above 0 as timeout, but found "${timeout}"`;
  }
  const domain = (pairs.get("domain") || "local").replace(/^\.+|\.+$/g, "");
  const wanted = { v4: true, v6: true };
  for (const family of ["v4", "v6"] as const) {
    const value = pairs.get(family) || "true";
    if (value !== "true" && value !== "false") {
      return `provider=mdns: expected true or false as ${family}, but found "${value}"`;
    }
    wanted[family] = value === "true";
  }
  if (!wanted.v4 && !wanted.v6) return "provider=mdns: one of v4 and v6 must be true";
  return { name: `${service}.${domain}`.toLowerCase(), timeoutMs, ...wanted };
}

/** Takes answers in any order; knows what must still be asked. */
export class MdnsAnswers {
  readonly #question: MdnsQuestion;
  readonly #instances = new Set<string>();
  readonly #places = new Map<string, { target: string; port: number }>();
  readonly #addresses = new Map<string, { v4?: string; v6?: string }>();

  constructor(question: MdnsQuestion) {
    this.#question = question;
  }

  take(records: readonly DnsRecord[]): void {
    for (const { name, type, data } of records) {
      const owner = name.toLowerCase();
      if (type === "PTR" && owner === this.#question.name && typeof data === "string") {
        if (this.#instances.size < instancesMax) this.#instances.add(data.toLowerCase());
      } else if (type === "SRV" && isPlace(data) && this.#places.size < instancesMax) {
        this.#places.set(owner, { target: data.target.toLowerCase(), port: data.port });
      } else if ((type === "A" || type === "AAAA") && typeof data === "string") {
        this.#takeAddress(owner, type === "A" ? "v4" : "v6", data);
      }
    }
  }

  #takeAddress(owner: string, family: "v4" | "v6", address: string): void {
    // A link-local address says nothing without its link.
    if (/^fe[89ab]/i.test(address)) return;
    const known = this.#addresses.get(owner);
    if (known === undefined && this.#addresses.size >= instancesMax) return;
    this.#addresses.set(owner, { ...known, [family]: address });
  }

  /** Questions whose answers are missing. */
  missing(): { name: string; type: "SRV" | "A" | "AAAA" }[] {
    const questions = new Map<string, { name: string; type: "SRV" | "A" | "AAAA" }>();
    const ask = (name: string, type: "SRV" | "A" | "AAAA") =>
      questions.set(`${type} ${name}`, { name, type });
    for (const instance of this.#instances) {
      const place = this.#places.get(instance);
      if (place === undefined) ask(instance, "SRV");
      else if (this.#addressOf(place.target) === undefined) {
        if (this.#question.v4) ask(place.target, "A");
        if (this.#question.v6) ask(place.target, "AAAA");
      }
    }
    return [...questions.values()];
  }

  /** Addresses with ports, without repeats. */
  endpoints(): { host: string; port: number }[] {
    const found = new Map<string, { host: string; port: number }>();
    for (const instance of this.#instances) {
      const place = this.#places.get(instance);
      const host = place && this.#addressOf(place.target);
      if (place && host !== undefined) {
        found.set(`${host} ${place.port}`, { host, port: place.port });
      }
    }
    return [...found.values()];
  }

  #addressOf(target: string): string | undefined {
    const { v4, v6 } = this.#addresses.get(target) ?? {};
    return (this.#question.v6 ? v6 : undefined) ?? (this.#question.v4 ? v4 : undefined);
  }
}

function isPlace(data: unknown): data is { target: string; port: number } {
  if (typeof data !== "object" || data === null) return false;
  const { target, port } = data as { target?: unknown; port?: unknown };
  return typeof target === "string" && typeof port === "number" && port > 0;
}
