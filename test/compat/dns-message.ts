// The test's own reading and writing of DNS messages, apart from the daemon's: questions as the
// recorded cases describe them, replies as sorted text.

export interface CaseQuery {
  name?: string;
  type?: string;
  transport?: "udp" | "tcp";
  edns?: { size: number; do?: boolean; version?: number; ecs?: string };
  flags?: string[];
  opcode?: number;
  class?: number;
  more_questions?: { name: string; type: string; class?: number }[];
  repeat?: number;
  silent_ms?: number;
  raw?: string;
}

export interface ParsedReply {
  id: number;
  isReply: boolean;
  rcode: string;
  flags: string[];
  question: string[];
  answer: string[];
  authority: string[];
  additional: string[];
  edns: Record<string, unknown> | null;
  compressed: boolean;
  size: number;
}

const typeCodes: Record<string, number> = {
  ...{ A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, NAPTR: 35 },
  ...{ OPT: 41, DS: 43, DNSKEY: 48, SVCB: 64, HTTPS: 65, SPF: 99, AXFR: 252, ANY: 255, CAA: 257 },
  TYPE65280: 65280,
};
const typeNames = new Map(Object.entries(typeCodes).map(([name, code]) => [code, name]));
const rcodeNames = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
const flagBits: [string, number][] = [
  ["aa", 0x0400],
  ["tc", 0x0200],
  ["rd", 0x0100],
  ["ra", 0x0080],
  ["ad", 0x0020],
  ["cd", 0x0010],
];

export function typeCode(name: string): number {
  const code = typeCodes[name];
  if (code === undefined) throw new Error(`no code is known for record type ${name}`);
  return code;
}

export function labelsOf(name: string): Buffer[] {
  const labels: Buffer[] = [];
  let bytes: number[] = [];
  for (let i = 0; i < name.length; i++) {
    const digits = /^\\(\d{3})/.exec(name.slice(i));
    if (digits !== null) {
      bytes.push(Number(digits[1]));
      i += 3;
    } else if (name[i] === "\\") bytes.push(name.charCodeAt(++i));
    else if (name[i] !== ".") bytes.push(name.charCodeAt(i));
    else {
      if (bytes.length > 0) labels.push(Buffer.from(bytes));
      bytes = [];
    }
  }
  if (bytes.length > 0) labels.push(Buffer.from(bytes));
  return labels;
}

export function packName(name: string): Buffer {
  const parts = labelsOf(name).map((label) => Buffer.concat([Buffer.from([label.length]), label]));
  return Buffer.concat([...parts, Buffer.from([0])]);
}

export function uint16s(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [i, value] of values.entries()) bytes.writeUInt16BE(value, 2 * i);
  return bytes;
}

export function buildQuery(query: CaseQuery, id: number): Buffer {
  if (query.raw !== undefined) {
    return Buffer.concat([uint16s(id), Buffer.from(query.raw, "hex")]);
  }
  const flags = new Set(query.flags ?? ["rd"]);
  let bits = (query.opcode ?? 0) << 11;
  for (const [name, bit] of flagBits) if (flags.has(name)) bits |= bit;
  if (flags.has("qr")) bits |= 0x8000;
  const questions = [query, ...query.more_questions ?? []].map((one) =>
    Buffer.concat([packName(one.name!), uint16s(typeCode(one.type!), one.class ?? 1)])
  );
  const opt = query.edns === undefined ? Buffer.alloc(0) : packOpt(query.edns);
  const header = uint16s(id, bits, questions.length, 0, 0, opt.length > 0 ? 1 : 0);
  return Buffer.concat([header, ...questions, opt]);
}

function packOpt(edns: NonNullable<CaseQuery["edns"]>): Buffer {
  const option = edns.ecs === undefined ? Buffer.alloc(0) : packSubnet(edns.ecs);
  const high = edns.version ?? 0;
  const low = edns.do === true ? 0x8000 : 0;
  const fixed = uint16s(typeCode("OPT"), edns.size, high, low, option.length);
  return Buffer.concat([Buffer.from([0]), fixed, option]);
}

function packSubnet(text: string): Buffer {
  const [address, bits] = text.split("/") as [string, string];
  const bytes = ipBytes(address).subarray(0, Math.ceil(Number(bits) / 8));
  const family = address.includes(":") ? 2 : 1;
  const body = Buffer.concat([uint16s(family), Buffer.from([Number(bits), 0]), bytes]);
  return Buffer.concat([uint16s(8, body.length), body]);
}

export function ipBytes(text: string): Buffer {
  if (!text.includes(":")) return Buffer.from(text.split(".").map(Number));
  const [head, tail] = text.split("::").map((half) => half.split(":").filter(Boolean));
  const missing = 8 - head!.length - (tail?.length ?? 0);
  const groups = [...head!, ...Array<string>(missing).fill("0"), ...tail ?? []];
  return uint16s(...groups.map((group) => parseInt(group, 16)));
}

function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

export function parseReply(bytes: Buffer, nowSeconds: number): ParsedReply {
  return new Reader(bytes, nowSeconds).message();
}

class Reader {
  readonly #bytes: Buffer;
  readonly #nowSeconds: number;
  #at = 12;
  #compressed = false;

  constructor(bytes: Buffer, nowSeconds: number) {
    this.#bytes = bytes;
    this.#nowSeconds = nowSeconds;
  }

  message(): ParsedReply {
    const bytes = this.#bytes;
    const bits = bytes.readUInt16BE(2);
    const counts = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
    const reply: ParsedReply = {
      id: bytes.readUInt16BE(0),
      isReply: (bits & 0x8000) !== 0,
      rcode: rcodeNames[bits & 15] ?? String(bits & 15),
      flags: flagBits.filter(([, bit]) => (bits & bit) !== 0).map(([name]) => name),
      question: [],
      answer: [],
      authority: [],
      additional: [],
      edns: null,
      compressed: false,
      size: bytes.length,
    };
    for (let i = 0; i < counts[0]!; i++) {
      const name = this.#name();
      reply.question.push(`${name} ${typeName(this.#uint16())}`);
      this.#at += 2;
    }
    for (const [i, section] of (["answer", "authority", "additional"] as const).entries()) {
      for (let n = 0; n < counts[i + 1]!; n++) this.#record(reply, section);
    }
    if (this.#at !== bytes.length) {
      throw new Error(`${bytes.length - this.#at} bytes are left over`);
    }
    reply.compressed = this.#compressed;
    return reply;
  }

  #record(reply: ParsedReply, section: "answer" | "authority" | "additional"): void {
    const owner = this.#name();
    const type = this.#uint16();
    const recordClass = this.#uint16();
    const ttl = this.#uint16() * 65536 + this.#uint16();
    const size = this.#uint16();
    const end = this.#at + size;
    if (type === typeCode("OPT")) {
      reply.edns = {
        size: recordClass,
        version: (ttl >>> 16) & 255,
        do: (ttl & 0x8000) !== 0,
        ...this.#options(end),
      };
    } else {
      const written = recordClass === 1 ? "" : `CLASS${recordClass} `;
      const content = this.#content(type, end);
      reply[section].push(`${owner} ${ttl} ${written}${typeName(type)} ${content}`);
    }
    this.#at = end;
  }

  #options(end: number): Record<string, unknown> {
    const options: Record<string, unknown> = {};
    while (this.#at < end) {
      const code = this.#uint16();
      const size = this.#uint16();
      const body = this.#bytes.subarray(this.#at, this.#at + size);
      this.#at += size;
      if (code !== 8) options[`option${code}`] = body.toString("hex");
      else {
        const address = Buffer.alloc(body.readUInt16BE(0) === 1 ? 4 : 16);
        body.copy(address, 0, 4);
        options["ecs"] = `${ipText(address)}/${body[2]}/${body[3]}`;
      }
    }
    return options;
  }

  #content(type: number, end: number): string {
    switch (typeName(type)) {
      case "A":
      case "AAAA":
        return ipText(this.#bytes.subarray(this.#at, end));
      case "NS":
      case "CNAME":
      case "PTR":
        return this.#name();
      case "SRV":
        return `${this.#uint16()} ${this.#uint16()} ${this.#uint16()} ${this.#name()}`;
      case "TXT":
        return this.#texts(end);
      case "SOA": {
        const names = `${this.#name()} ${this.#name()}`;
        const numbers = [0, 1, 2, 3, 4].map(() => this.#uint16() * 65536 + this.#uint16());
        const isNow = Math.abs(numbers[0]! - this.#nowSeconds) <= 10;
        return `${names} ${isNow ? "now" : numbers[0]} ${numbers.slice(1).join(" ")}`;
      }
      default:
        return this.#bytes.subarray(this.#at, end).toString("hex");
    }
  }

  #texts(end: number): string {
    const texts: string[] = [];
    while (this.#at < end) {
      const size = this.#bytes[this.#at]!;
      texts.push(quote(this.#bytes.subarray(this.#at + 1, this.#at + 1 + size)));
      this.#at += 1 + size;
    }
    return texts.join(" ");
  }

  #uint16(): number {
    this.#at += 2;
    return this.#bytes.readUInt16BE(this.#at - 2);
  }

  #name(): string {
    let text = "";
    let at = this.#at;
    let end = -1;
    for (let hops = 0; hops < 100;) {
      const size = this.#bytes.readUInt8(at);
      if (size >= 0xc0) {
        this.#compressed = true;
        if (end < 0) end = at + 2;
        at = this.#bytes.readUInt16BE(at) & 0x3fff;
        hops++;
      } else if (size === 0) {
        this.#at = end < 0 ? at + 1 : end;
        return text === "" ? "." : text;
      } else {
        text += escapeLabel(this.#bytes.subarray(at + 1, at + 1 + size)) + ".";
        at += 1 + size;
      }
    }
    throw new Error("the compression runs in a circle");
  }
}

function typeName(code: number): string {
  return typeNames.get(code) ?? `TYPE${code}`;
}

export function escapeLabel(bytes: Uint8Array): string {
  return [...bytes].map((byte) => {
    const character = String.fromCharCode(byte);
    if ('."\\();@$'.includes(character)) return "\\" + character;
    return byte >= 0x21 && byte <= 0x7e ? character : "\\" + String(byte).padStart(3, "0");
  }).join("");
}

function quote(bytes: Uint8Array): string {
  const inner = [...bytes].map((byte) => {
    const character = String.fromCharCode(byte);
    if (character === '"' || character === "\\") return "\\" + character;
    return byte >= 0x20 && byte <= 0x7e ? character : "\\" + String(byte).padStart(3, "0");
  });
  return `"${inner.join("")}"`;
}
