// IP addresses as numbers: parsing, networks, which are private, which mean "any".

export interface IpAddress {
  family: 4 | 6;
  value: bigint;
}

/** Undefined when the text is no literal IP address. Brackets around IPv6 are allowed. */
export function parseIp(text: string): IpAddress | undefined {
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  return bare.includes(":") ? parseIpv6(bare) : parseIpv4(bare);
}

function parseIpv4(text: string): IpAddress | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined;
  let value = 0n;
  for (const part of text.split(".")) {
    if (Number(part) > 255 || (part.length > 1 && part.startsWith("0"))) return undefined;
    value = value * 256n + BigInt(part);
  }
  return { family: 4, value };
}

function parseIpv6(text: string): IpAddress | undefined {
  const zone = text.indexOf("%");
  let bare = zone < 0 ? text : text.slice(0, zone);
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(bare);
  if (dotted !== null) {
    const tail = parseIpv4(dotted[2]!);
    if (tail === undefined) return undefined;
    const high = (tail.value >> 16n).toString(16);
    bare = `${dotted[1]}${high}:${(tail.value & 0xffffn).toString(16)}`;
  }
  const halves = bare.split("::");
  if (halves.length > 2) return undefined;
  const groups = halves.map((half) => half === "" ? [] : half.split(":"));
  const given = groups.flat();
  if (!given.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  const missing = 8 - given.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const filler = halves.length === 1 ? [] : new Array<string>(missing).fill("0");
  const all = [...groups[0]!, ...filler, ...groups[1] ?? []];
  const value = all.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
  return { family: 6, value };
}

export function isIp(text: string): boolean {
  return parseIp(text) !== undefined;
}

/** 0.0.0.0, :: or [::]. */
export function isAnyAddress(text: string): boolean {
  return parseIp(text)?.value === 0n;
}

export interface Network {
  address: IpAddress;
  prefix: number;
}

/** Undefined when the text is no CIDR. */
export function parseCidr(text: string): Network | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = match === null ? undefined : parseIp(match[1]!);
  if (address === undefined) return undefined;
  const prefix = Number(match![2]);
  return prefix <= bits(address) ? { address, prefix } : undefined;
}

export function isWithin(address: IpAddress, network: Network): boolean {
  if (address.family !== network.address.family) return false;
  const shift = BigInt(bits(address) - network.prefix);
  return address.value >> shift === network.address.value >> shift;
}

function bits(address: IpAddress): number {
  return address.family === 4 ? 32 : 128;
}

const privateNetworks = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "::1/128",
  "fe80::/10",
  "fc00::/7",
].map((text) => parseCidr(text)!);

/** Not reachable from the internet, by Consul's list. */
export function isPrivate(address: IpAddress): boolean {
  return privateNetworks.some((network) => isWithin(address, network));
}
