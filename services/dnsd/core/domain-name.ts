// Domain names as text in presentation form (RFC 1035 §5.1) with a final dot, and their labels.

/** Wire labels (RFC 1035 §3.1). */
export const labelBytesMax = 63;
export const nameBytesMax = 255;

/** With a final dot; a dot that is escaped does not count as one. */
export function toFqdn(name: string): string {
  if (!name.endsWith(".")) return name + ".";
  let backslashes = 0;
  for (let i = name.length - 2; i >= 0 && name[i] === "\\"; i--) backslashes++;
  return backslashes % 2 === 1 ? name + "." : name;
}

/** The labels as written, escapes and all; the root has none. */
export function splitLabels(name: string): string[] {
  if (name === "." || name === "") return [];
  if (!name.includes("\\")) {
    const labels = name.split(".");
    if (labels[labels.length - 1] === "") labels.pop();
    return labels;
  }
  const labels: string[] = [];
  let start = 0;
  for (let i = 0; i < name.length; i++) {
    if (name[i] === "\\") i++;
    else if (name[i] === ".") {
      labels.push(name.slice(start, i));
      start = i + 1;
    }
  }
  if (start < name.length) labels.push(name.slice(start));
  return labels;
}

/** Whether the (lower-case) name is the zone's apex or below it. */
export function isWithin(name: string, zone: string): boolean {
  if (zone === ".") return true;
  if (!name.endsWith(zone)) return false;
  const before = name.length - zone.length - 1;
  return before < 0 || name[before] === ".";
}

/** One wire label as text: bytes that could be misread are escaped. */
export function formatLabel(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let i = start; i < end; i++) text += labelByteText[bytes[i]!]!;
  return text;
}

const labelByteText = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if (". '@;()\"\\".includes(character)) return "\\" + character;
  return byte < 0x21 || byte > 0x7e ? "\\" + String(byte).padStart(3, "0") : character;
});

/** The bytes of text in presentation form: `\DDD` and `\X` undone, the rest as UTF-8. */
export function unescapeText(text: string): Uint8Array {
  if (!text.includes("\\")) return encoder.encode(text);
  const raw = encoder.encode(text);
  const out: number[] = [];
  for (let i = 0; i < raw.length; i++) {
    if (raw[i] !== 0x5c) {
      out.push(raw[i]!);
      continue;
    }
    const digits = text3(raw, i + 1);
    if (digits !== undefined) {
      out.push(digits & 255);
      i += 3;
    } else if (i + 1 < raw.length) {
      out.push(raw[++i]!);
    }
  }
  return Uint8Array.from(out);
}

const encoder = new TextEncoder();

function text3(bytes: Uint8Array, at: number): number | undefined {
  let value = 0;
  for (let i = at; i < at + 3; i++) {
    const digit = (bytes[i] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}
