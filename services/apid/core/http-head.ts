// Reads the head of an HTTP/1.1 request from bytes, strictly (RFC 9112): what two parsers could
// understand differently is refused.

export interface RequestHead {
  readonly method: string;
  /** As sent, not decoded, not cleaned. */
  readonly target: string;
  readonly minor: 0 | 1;
  /** The header lines, each ended by CRLF, as sent (latin1). */
  readonly lines: string;
  /** `lines` in lower case, after one CRLF, so that `\r\nname:` finds a header. */
  readonly lower: string;
  /** Bytes of the body, or -1 when it is chunked. */
  readonly contentLength: number;
  readonly keepAlive: boolean;
  readonly expectsContinue: boolean;
}

export type HeadResult =
  | { kind: "head"; head: RequestHead; bytes: number }
  | { kind: "incomplete" }
  | { kind: "bad"; status: number; text: string };

const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.([01])$/;
const headerLines = /^(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*$/;

/** A client that stays sends the same head again and again: parsing it once is enough. Heads with
 *  secrets are not kept. */
export class HeadMemory {
  readonly #known = new Map<string, RequestHead>();
  readonly #headsMax: number;

  constructor(headsMax: number) {
    this.#headsMax = headsMax;
  }

  parse(text: string, bytesMax: number): HeadResult {
    const end = text.indexOf("\r\n\r\n");
    if (end < 0 || end > rememberedBytesMax) return parseHead(text, bytesMax);
    const whole = text.length === end + 4 ? text : text.slice(0, end + 4);
    const known = this.#known.get(whole);
    if (known !== undefined) return { kind: "head", head: known, bytes: end + 4 };
    const result = parseHead(text, bytesMax);
    const isKept = result.kind === "head" && result.bytes === end + 4 &&
      !/\r\n(x-consul-token|authorization|cookie):|token=/.test(result.head.lower + whole);
    if (isKept) {
      if (this.#known.size >= this.#headsMax) this.#known.clear();
      this.#known.set(whole, result.head);
    }
    return result;
  }
}

const rememberedBytesMax = 600;

function bad(status: number, text: string): HeadResult {
  return { kind: "bad", status, text };
}

/** `text` is the bytes read so far as latin1. Leading empty lines are skipped. */
export function parseHead(text: string, bytesMax: number): HeadResult {
  let start = 0;
  while (text.startsWith("\r\n", start)) start += 2;
  const end = text.indexOf("\r\n\r\n", start);
  if (end < 0) {
    return text.length - start > bytesMax
      ? bad(431, "431 Request Header Fields Too Large")
      : { kind: "incomplete" };
  }
  if (end - start > bytesMax) return bad(431, "431 Request Header Fields Too Large");
  const lineEnd = text.indexOf("\r\n", start);
  const line = requestLine.exec(text.slice(start, lineEnd));
  if (line === null) {
    return / HTTP\/[2-9]/.test(text.slice(start, lineEnd))
      ? bad(505, "505 HTTP Version Not Supported: unsupported protocol version")
      : bad(400, "400 Bad Request");
  }
  const lines = lineEnd === end ? "" : text.slice(lineEnd + 2, end + 2);
  if (!headerLines.test(lines)) return bad(400, "400 Bad Request");
  const lower = "\r\n" + lines.toLowerCase();
  const minor = line[3] === "1" ? 1 : 0;
  const hostAt = lower.indexOf("\r\nhost:");
  if (minor === 1 && hostAt < 0) return bad(400, "400 Bad Request: missing required Host header");
  if (hostAt >= 0 && lower.includes("\r\nhost:", hostAt + 1)) {
    return bad(400, "400 Bad Request: too many Host headers");
  }
  const length = bodyLength(lines, lower);
  if (length === undefined) return bad(400, "400 Bad Request");
  if (length === null) return bad(501, "501 Not Implemented: unsupported transfer encoding");
  const connection = lower.includes("\r\nconnection:")
    ? (headerOf(lines, lower, "connection") ?? "").toLowerCase()
    : "";
  const keepAlive = minor === 1
    ? !/(^|,)\s*close\s*(,|$)/.test(connection)
    : /(^|,)\s*keep-alive\s*(,|$)/.test(connection);
  const expectsContinue = minor === 1 &&
    lower.includes("\r\nexpect:") &&
    (headerOf(lines, lower, "expect") ?? "").toLowerCase() === "100-continue";
  return {
    kind: "head",
    bytes: end + 4,
    head: {
      method: line[1]!,
      target: line[2]!,
      minor,
      lines,
      lower,
      contentLength: length,
      keepAlive,
      expectsContinue,
    },
  };
}

/** -1: chunked; undefined: refused; null: a transfer coding we do not know. */
function bodyLength(lines: string, lower: string): number | undefined | null {
  const hasCoding = lower.includes("\r\ntransfer-encoding:");
  const lengthAt = lower.indexOf("\r\ncontent-length:");
  if (hasCoding) {
    if (lengthAt >= 0) return undefined;
    const codings = headersOf(lines, lower, "transfer-encoding");
    return codings.length === 1 && codings[0]!.toLowerCase() === "chunked" ? -1 : null;
  }
  if (lengthAt < 0) return 0;
  const lengths = new Set(headersOf(lines, lower, "content-length"));
  const [first] = lengths;
  if (lengths.size !== 1 || !/^\d{1,15}$/.test(first!)) return undefined;
  return Number(first);
}

/** Value of the first header of that name (given in lower case), trimmed. */
export function headerOf(lines: string, lower: string, name: string): string | undefined {
  const at = lower.indexOf(`\r\n${name}:`);
  if (at < 0) return undefined;
  const start = at + name.length + 1;
  return trimBlank(lines.slice(start, lines.indexOf("\r\n", start)));
}

export function headersOf(lines: string, lower: string, name: string): string[] {
  const found: string[] = [];
  const needle = `\r\n${name}:`;
  for (let at = lower.indexOf(needle); at >= 0; at = lower.indexOf(needle, at + 2)) {
    const start = at + name.length + 1;
    found.push(trimBlank(lines.slice(start, lines.indexOf("\r\n", start))));
  }
  return found;
}

/** Every header as a pair, names as sent. */
export function allHeaders(lines: string): [string, string][] {
  return lines.split("\r\n").filter((line) => line !== "").map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), trimBlank(line.slice(colon + 1))];
  });
}

function trimBlank(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, "");
}

/** Takes a chunked body apart as it arrives. */
export class ChunkedDecoder {
  /** Bytes that are left of the current chunk; -1: a size line is next; -2: trailers. */
  #left = -1;
  #line = "";
  #isDone = false;

  /** Rest after the body's end, else undefined. Throws on a malformed body. */
  push(input: Uint8Array, onBytes: (bytes: Uint8Array) => void): Uint8Array | undefined {
    let at = 0;
    while (at < input.length && !this.#isDone) {
      if (this.#left > 0) {
        const take = Math.min(this.#left, input.length - at);
        onBytes(input.subarray(at, at + take));
        at += take;
        this.#left -= take;
        if (this.#left === 0) this.#left = -3;
        continue;
      }
      const newline = input.indexOf(10, at);
      const end = newline < 0 ? input.length : newline;
      this.#line += String.fromCharCode(...input.subarray(at, Math.min(end, at + 4096)));
      if (this.#line.length > 4096) throw new Error("chunk line too long");
      at = newline < 0 ? input.length : newline + 1;
      if (newline >= 0) this.#takeLine();
    }
    return this.#isDone ? input.subarray(at) : undefined;
  }

  #takeLine(): void {
    const line = this.#line;
    this.#line = "";
    if (!line.endsWith("\r")) throw new Error("bare LF in a chunked body");
    if (this.#left === -3) {
      if (line !== "\r") throw new Error("chunk longer than its size");
      this.#left = -1;
    } else if (this.#left === -2) {
      if (line === "\r") this.#isDone = true;
    } else {
      const size = /^([0-9a-fA-F]{1,12})[ \t]*(?:;[^\r]*)?\r$/.exec(line);
      if (size === null) throw new Error("malformed chunk size");
      const bytes = parseInt(size[1]!, 16);
      this.#left = bytes === 0 ? -2 : bytes;
    }
  }
}
