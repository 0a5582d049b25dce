// Values of Go structs between their two forms: packed, as in a snapshot, and JSON, as the API shows
// and documents keep them (times as RFC 3339, some durations as text).

import { formatDuration, parseDuration } from "#shared/consul/duration.ts";
import { Float } from "./msgpack.ts";
import type { Packable, Packed } from "./msgpack.ts";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

const utf8 = new TextDecoder("utf-8", { fatal: true });
const lenient = new TextDecoder();
const encoder = new TextEncoder();

const timeFields = new Set([
  "NotBefore",
  "NotAfter",
  "RotatedOutAt",
  "CreateTime",
  "ExpirationTime",
  "CreatedAt",
  "UpdatedAt",
  "LastTransitionTime",
  "LegacyCreateTime",
  "LegacyUpdateTime",
]);
/** Nanoseconds in the struct, Go's duration text in JSON. */
const durationFields = new Set([
  "ConnectTimeout",
  "RequestTimeout",
  "IdleTimeout",
  "Interval",
  "Timeout",
  "DeregisterCriticalServiceAfter",
  "BaseEjectionTime",
  "CacheDuration",
  "BaseInterval",
  "MaxInterval",
  "MaxTokenTTL",
  "ExpirationTTL",
  "LastContactThreshold",
  "ServerStabilizationTime",
]);
/** Maps whose content is the user's: nothing in them is converted, and all numbers are floats. */
const freeFields = new Set(["Config", "Arguments"]);
const binaryFields = new Set(["Hash"]);

/** A packed struct as JSON. */
export function toJson(value: Packed, field = "", isFree = false): Json {
  if (value === null || typeof value === "boolean") return value;
  if (value instanceof Uint8Array) return isFree ? toText(value) : rawToJson(value, field);
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "number") {
    return !isFree && durationFields.has(field) ? formatDuration(BigInt(value)) : value;
  }
  if (Array.isArray(value)) return value.map((item) => toJson(item, "", isFree));
  const object: JsonObject = {};
  // Sorted: Go writes maps in any order, and equal rows shall have equal bytes.
  for (const [key, item] of Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)) {
    object[key] = toJson(item, key, isFree || freeFields.has(key));
  }
  return object;
}

/** JSON of a struct in its packed form. */
export function fromJson(value: Json, field = "", isFree = false): Packable {
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number") return isFree ? new Float(value) : value;
  if (typeof value === "string") return isFree ? value : textToPacked(value, field);
  if (Array.isArray(value)) return value.map((item) => fromJson(item, "", isFree));
  if (typeof value.$base64 === "string") return Buffer.from(value.$base64, "base64");
  const object: { [key: string]: Packable } = {};
  for (const [key, item] of Object.entries(value)) {
    object[key] = fromJson(item, key, isFree || freeFields.has(key));
  }
  return object;
}

function rawToJson(raw: Uint8Array, field: string): Json {
  if (timeFields.has(field) && raw.length >= 15) return formatTime(raw);
  if (binaryFields.has(field)) return Buffer.from(raw).toString("base64");
  return toText(raw);
}

function toText(raw: Uint8Array): Json {
  try {
    return utf8.decode(raw);
  } catch {
    return { $base64: Buffer.from(raw).toString("base64") };
  }
}

function textToPacked(text: string, field: string): Packable {
  if (timeFields.has(field)) return parseTime(text);
  if (binaryFields.has(field)) return Buffer.from(text, "base64");
  if (!durationFields.has(field)) return text;
  try {
    return parseDuration(text);
  } catch {
    return text;
  }
}

/** Seconds from year 1 to 1970. */
const unixOffset = 62_135_596_800n;

/** Go's binary time: version, seconds since year 1, nanoseconds, zone in minutes (-1: UTC). */
export function formatTime(raw: Uint8Array): string {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const unixSeconds = view.getBigInt64(1) - unixOffset;
  const nanos = view.getInt32(9);
  const zone = view.getInt16(13);
  const offset = zone === -1 ? 0 : zone;
  const date = new Date(Number(unixSeconds) * 1000 + offset * 60_000);
  const fraction = nanos === 0 ? "" : `.${String(nanos).padStart(9, "0").replace(/0+$/, "")}`;
  const stem = date.toISOString().slice(0, 19).replace(/^[+-]00/, "");
  return `${stem}${fraction}${formatZone(offset)}`;
}

function formatZone(minutes: number): string {
  if (minutes === 0) return "Z";
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const two = (number: number) => String(number).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(hours)}:${two(rest)}`;
}

const timePattern =
  /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))$/;

export function parseTime(text: string): Uint8Array {
  const raw = new Uint8Array(15);
  const view = new DataView(raw.buffer);
  raw[0] = 1;
  view.setInt16(13, -1);
  const parts = timePattern.exec(text);
  if (parts === null) return raw;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number);
  const [, , , , , , , fraction = "", sign, zoneHours, zoneMinutes] = parts;
  const date = new Date(0);
  date.setUTCFullYear(year!, month! - 1, day!);
  date.setUTCHours(hour!, minute!, second!);
  const zone = sign === undefined
    ? 0
    : (sign === "-" ? -1 : 1) * (Number(zoneHours) * 60 + Number(zoneMinutes));
  view.setBigInt64(1, BigInt(date.getTime() / 1000 - zone * 60) + unixOffset);
  view.setInt32(9, Number(fraction.padEnd(9, "0")));
  if (sign !== undefined) view.setInt16(13, zone);
  return raw;
}

export function text(value: Packed | undefined): string {
  return value instanceof Uint8Array ? (value.length === 0 ? "" : lenient.decode(value)) : "";
}

export function number(value: Packed | undefined): number {
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : 0;
}

export function object(value: Packed | undefined): { [key: string]: Packed } {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Uint8Array);
  return isObject ? value : {};
}

export function list(value: Packed | undefined): Packed[] {
  return Array.isArray(value) ? value : [];
}

export function textMap(value: Packed | undefined): Record<string, string> {
  const entries = Object.entries(object(value));
  return Object.fromEntries(entries.map(([key, item]) => [key, text(item)]));
}

/** JSON without what is empty, so that a row is the same whether it came from a snapshot or from the
 *  API, which leaves such fields out. What users put into free maps stays. */
export function prune(value: Json): Json | undefined {
  if (value === null || value === false || value === 0 || value === "" || value === "0s") {
    return undefined;
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? undefined : value.map((item) => prune(item) ?? emptied(item));
  }
  if (typeof value !== "object") return value;
  const kept: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    const pruned = freeFields.has(key) && item !== null && Object.keys(item).length > 0
      ? item
      : prune(item);
    if (pruned !== undefined) kept[key] = pruned;
  }
  return Object.keys(kept).length === 0 ? undefined : kept;
}

function emptied(value: Json): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? {} : value;
}

export function jsonBytes(value: Json | undefined): Uint8Array {
  return value === undefined ? new Uint8Array(0) : encoder.encode(JSON.stringify(value));
}

export function parseJson(bytes: Uint8Array): JsonObject {
  if (bytes.length === 0) return {};
  return JSON.parse(new TextDecoder().decode(bytes)) as JsonObject;
}
