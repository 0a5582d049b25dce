// IP addresses between text, bytes, `.addr` labels and reverse names (RFC 1035 §3.5, RFC 3596 §2.5,
// RFC 5952).

/** 4 or 16 bytes; undefined when the text is no address. An IPv4 address mapped into IPv6 counts
 *  as IPv4, as in Go. */
export function parseIp(text: string): Uint8Array | undefined {
  if (!text.includes(":")) return parseIp4(text);
  const bytes = parseIp6(text);
  return bytes !== undefined && isMapped(bytes) ? bytes.slice(12) : bytes;
}

/** Four decimal numbers without leading zeros, read in one pass: every instance comes by here. */
function parseIp4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i === text.length ? dot : text.charCodeAt(i);
    if (code === dot) {
      if (digits === 0 || part > 3) return undefined;
      bytes[part++] = value;
      digits = 0;
      value = 0;
    } else {
      if (code < 0x30 || code > 0x39 || (digits > 0 && value === 0)) return undefined;
      value = value * 10 + code - 0x30;
      digits++;
      if (value > 255) return undefined;
    }
  }
  return part === 4 ? bytes : undefined;
}

const dot = 0x2e;

function parseIp6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const used = head.length + tail.length;
  if (halves.length === 1 ? used !== 16 : used > 14) return undefined;
  const bytes = new Uint8Array(16);
  bytes.set(head, 0);
  bytes.set(tail, 16 - tail.length);
  return bytes;
}

function parseGroups(text: string, mayEndInIp4: boolean): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [i, group] of groups.entries()) {
    if (mayEndInIp4 && i === groups.length - 1 && group.includes(".")) {
      const tail = parseIp4(group);
      if (tail === undefined) return undefined;
      bytes.push(...tail);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 255);
    }
  }
  return bytes;
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 255 &&
    bytes[11] === 255;
}

export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  let bestStart = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > bestLength) {
      bestStart = i;
      bestLength = length;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (bestStart < 0) return hex.join(":");
  return `${hex.slice(0, bestStart).join(":")}::${hex.slice(bestStart + bestLength).join(":")}`;
}

/** The label of an `.addr` name: 8 or 32 hexadecimal digits. */
export function formatAddrLabel(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}

export function parseAddrLabel(label: string): Uint8Array | undefined {
  if ((label.length !== 8 && label.length !== 32) || !/^[0-9a-f]+$/i.test(label)) return undefined;
  const bytes = new Uint8Array(label.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(label.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/** The address that a name under `in-addr.arpa.` or `ip6.arpa.` stands for. */
export function parseReverseName(name: string): Uint8Array | undefined {
  const lower = name.toLowerCase();
  if (lower.endsWith(".in-addr.arpa.")) {
    const parts = lower.slice(0, -".in-addr.arpa.".length).split(".");
    return parts.length === 4 ? parseIp4(parts.reverse().join(".")) : undefined;
  }
  if (!lower.endsWith(".ip6.arpa.")) return undefined;
  const nibbles = lower.slice(0, -".ip6.arpa.".length).split(".");
  if (nibbles.length !== 32 || !nibbles.every((nibble) => /^[0-9a-f]$/.test(nibble))) {
    return undefined;
  }
  return parseAddrLabel(nibbles.reverse().join(""));
}
