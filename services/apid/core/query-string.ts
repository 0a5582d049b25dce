// The query string by the rules of Go's url.ParseQuery, whose failures Consul shows as an empty 500.

export class QueryStringError extends Error {
  override name = "QueryStringError";
}

/** Parameters in the order of the URL; a name may occur several times. */
export class QueryString {
  readonly #pairs: readonly (readonly [string, string])[];

  constructor(pairs: readonly (readonly [string, string])[]) {
    this.#pairs = pairs;
  }

  get isEmpty(): boolean {
    return this.#pairs.length === 0;
  }

  /** True for `?name`, `?name=` and `?name=false`: presence is what counts. */
  has(name: string): boolean {
    return this.#pairs.some(([key]) => key === name);
  }

  /** First value, or "". */
  get(name: string): string {
    return this.#pairs.find(([key]) => key === name)?.[1] ?? "";
  }

  all(name: string): string[] {
    return this.#pairs.filter(([key]) => key === name).map(([, value]) => value);
  }

  /** All of it in Go's canonical form: sorted by name, escaped anew. */
  encode(): string {
    const names = [...new Set(this.#pairs.map(([key]) => key))].sort();
    return names.flatMap((name) =>
      this.all(name).map((value) => `${escape(name)}=${escape(value)}`)
    )
      .join("&");
  }
}

const none = new QueryString([]);

/** `text` is what follows the `?`, as sent (latin1). */
export function parseQueryString(text: string): QueryString {
  if (text === "") return none;
  const pairs: [string, string][] = [];
  for (const part of text.split("&")) {
    if (part === "") continue;
    if (part.includes(";")) throw new QueryStringError("invalid semicolon separator in query");
    const equals = part.indexOf("=");
    const key = equals < 0 ? part : part.slice(0, equals);
    const value = equals < 0 ? "" : part.slice(equals + 1);
    pairs.push([unescape(key), unescape(value)]);
  }
  return new QueryString(pairs);
}

function unescape(text: string): string {
  if (!/[%+\x80-\xff]/.test(text)) return text;
  const plain = text.includes("+") ? text.replaceAll("+", " ") : text;
  const bytes = percentDecode(plain);
  if (bytes === undefined) throw new QueryStringError(`invalid URL escape in ${text}`);
  return bytes.toString("utf8");
}

function escape(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  ).replaceAll("%20", "+");
}

/** Bytes of a percent-encoded latin1 text; undefined when an escape is malformed. */
export function percentDecode(text: string): Buffer | undefined {
  const out = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code === 0x25) {
      const high = hexDigit(text.charCodeAt(i + 1)), low = hexDigit(text.charCodeAt(i + 2));
      if (high < 0 || low < 0) return undefined;
      code = high * 16 + low;
      i += 2;
    }
    out[length++] = code;
  }
  return out.subarray(0, length);
}

function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48;
  const lower = code | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}
