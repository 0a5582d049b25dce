// How Consul writes hashes and serials: hex bytes joined by colons.

export function colons(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

/** As Consul shows the serial of a leaf: its bytes. */
export function serialText(serial: bigint): string {
  const digits = serial.toString(16);
  return colons(Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex"));
}
