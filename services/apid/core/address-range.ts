// CIDR ranges, for `allow_write_http_from`.

export class AddressRange {
  readonly #bits: string;

  constructor(text: string) {
    const [address = "", length] = text.split("/");
    const bits = addressBits(address) ?? "x";
    this.#bits = length === undefined ? bits : bits.slice(0, prefixBits(bits, Number(length)));
  }

  contains(address: string): boolean {
    return addressBits(address)?.startsWith(this.#bits) === true;
  }
}

/** Every address is compared as IPv6, so that IPv4 inside IPv6 is the same address. */
function prefixBits(bits: string, length: number): number {
  return bits.startsWith(mapped) && length <= 32 ? 96 + length : length;
}

const mapped = "0".repeat(80) + "1".repeat(16);

function addressBits(address: string): string | undefined {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(address)) {
    const bytes = address.split(".").map(Number);
    if (bytes.some((byte) => byte > 255)) return undefined;
    return mapped + bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
  }
  const plain = address.split("%")[0]!.toLowerCase();
  const embedded = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(plain);
  if (embedded !== null) {
    const bits = addressBits(embedded[2]!)!.slice(96);
    const words = [0, 16].map((at) => parseInt(bits.slice(at, at + 16), 2).toString(16));
    return addressBits(embedded[1]! + words.join(":"));
  }
  if (!/^[0-9a-f:]+$/.test(plain) || !plain.includes(":")) return undefined;
  const [head = "", tail] = plain.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const missing = 8 - left.length - right.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined;
  const words = [...left, ...new Array<string>(missing).fill("0"), ...right];
  return words.map((word) => parseInt(word, 16).toString(2).padStart(16, "0")).join("");
}
