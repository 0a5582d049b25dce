// IP addresses as bytes, as gossip carries them: four or sixteen, kept as they came.
import type { Endpoint } from "./border.ts";

export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (const [index, part] of parts.entries()) {
    const value = Number(part);
    if (!/^\d{1,3}$/.test(part) || value > 255) return undefined;
    bytes[index] = value;
  }
  return bytes;
}

function parseIpv6(text: string): Uint8Array | undefined {
  let rest = text.split("%")[0]!;
  const tail = rest.slice(rest.lastIndexOf(":") + 1);
  if (tail.includes(".")) {
    const v4 = parseIpv4(tail);
    if (!v4) return undefined;
    const words = `${((v4[0]! << 8) | v4[1]!).toString(16)}:${
      ((v4[2]! << 8) | v4[3]!).toString(16)
    }`;
    rest = rest.slice(0, rest.length - tail.length) + words;
  }
  const halves = rest.split("::");
  if (halves.length > 2) return undefined;
  const [head, end] = halves.map((half) => half === "" ? [] : half.split(":"));
  const missing = 8 - head!.length - (end?.length ?? 0);
  if (end === undefined ? missing !== 0 : missing < 1) return undefined;
  const words = [...head!, ...new Array<string>(end ? missing : 0).fill("0"), ...end ?? []];
  const bytes = new Uint8Array(16);
  for (const [index, word] of words.entries()) {
    if (!/^[0-9a-f]{1,4}$/i.test(word)) return undefined;
    const value = parseInt(word, 16);
    bytes[index * 2] = value >> 8;
    bytes[index * 2 + 1] = value & 0xff;
  }
  return bytes;
}

/** The four bytes of an IPv4 address in either form. */
export function ipv4Of(address: Uint8Array): Uint8Array | undefined {
  if (address.length === 4) return address;
  if (address.length !== 16 || address[10] !== 0xff || address[11] !== 0xff) return undefined;
  return address.subarray(0, 10).every((byte) => byte === 0) ? address.subarray(12) : undefined;
}

export function formatAddress(address: Uint8Array): string {
  const v4 = ipv4Of(address);
  if (v4) return v4.join(".");
  if (address.length !== 16) return "";
  const words = Array.from(
    { length: 8 },
    (_, i) => ((address[i * 2]! << 8) | address[i * 2 + 1]!).toString(16),
  );
  // The longest run of at least two zero words becomes "::" (RFC 5952).
  let best = { at: 0, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (words[at + length] === "0") length++;
    if (length > best.length) best = { at, length };
  }
  if (best.length === 1) return words.join(":");
  return `${words.slice(0, best.at).join(":")}::${words.slice(best.at + best.length).join(":")}`;
}

export function formatEndpoint(endpoint: Endpoint): string {
  const text = formatAddress(endpoint.address);
  return text.includes(":") ? `[${text}]:${endpoint.port}` : `${text}:${endpoint.port}`;
}

export function parseEndpoint(text: string): Endpoint | undefined {
  const colon = text.lastIndexOf(":");
  const port = Number(text.slice(colon + 1));
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const address = parseAddress(host);
  if (colon < 0 || !address || !Number.isInteger(port) || port < 1 || port > 65535) {
    return undefined;
  }
  return { address, port };
}
