// What a request target means: its decoded path, or the redirect or refusal that it earns
// (Go's ServeMux; spec: http-api 1.6).

import { percentDecode } from "./query-string.ts";

export type Target =
  | { kind: "path"; path: string; bytes: Buffer | undefined; raw: string; query: string }
  | { kind: "redirect"; location: string }
  | { kind: "bad" };

const unclean = /\/\/|\/\.\.?(?:\/|$)/;
const plain = /^[!-$&-~]*$/;

/** `target` as sent (latin1): origin form, or absolute form whose authority is dropped. */
export function parseTarget(target: string): Target {
  let rest = target;
  if (!rest.startsWith("/")) {
    const absolute = /^https?:\/\/[^/?#]*/i.exec(rest);
    if (absolute === null) return { kind: "bad" };
    rest = rest.slice(absolute[0].length);
    if (!rest.startsWith("/")) rest = `/${rest}`;
  }
  const mark = rest.indexOf("?");
  const raw = mark < 0 ? rest : rest.slice(0, mark);
  const query = mark < 0 ? "" : rest.slice(mark + 1);
  if (unclean.test(raw)) {
    return { kind: "redirect", location: cleanPath(raw) + (mark < 0 ? "" : `?${query}`) };
  }
  if (plain.test(raw)) return { kind: "path", path: raw, bytes: undefined, raw, query };
  const bytes = percentDecode(raw);
  if (bytes === undefined) return { kind: "bad" };
  return { kind: "path", path: bytes.toString("utf8"), bytes, raw, query };
}

export function cleanPath(path: string): string {
  const kept: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") kept.pop();
    else kept.push(part);
  }
  const clean = `/${kept.join("/")}`;
  return path.endsWith("/") && clean !== "/" ? `${clean}/` : clean;
}

const printable = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u;

/** Go's unicode.IsPrint for every rune. */
export function isPrintable(path: string): boolean {
  return plain.test(path) || printable.test(path);
}
