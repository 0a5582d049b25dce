// Peering rows, which Consul writes as protobuf: read as far as they are needed as keys, kept whole.

import { Reader } from "protobufjs/minimal.js";
import type { Document } from "#proto/messages.js";
import { jsonBytes, parseJson } from "./forms.ts";
import type { JsonObject } from "./forms.ts";

interface Fields {
  readonly numbers: Map<number, number>;
  readonly texts: Map<number, string>;
}

/** Where CreateIndex and ModifyIndex are; peering secrets have none. */
const indexFields: Record<string, [number, number]> = {
  "peering": [11, 12],
  "peering-trust-bundle": [6, 7],
};

export function peeringDocument(kind: string, raw: Uint8Array): Document {
  const { numbers, texts } = readFields(raw);
  const [create, modify] = indexFields[kind] ?? [0, 0];
  const first = texts.get(1) ?? "";
  const second = texts.get(2) ?? "";
  const whole = { Raw: Buffer.from(raw).toString("base64") };
  const body: JsonObject = kind === "peering"
    ? { ID: first, Name: second, State: numbers.get(6) ?? 0, ...whole }
    : kind === "peering-trust-bundle"
    ? { TrustDomain: first, PeerName: second, ...whole }
    : { PeerID: first };
  return {
    kind,
    id: kind === "peering-trust-bundle" ? second : first,
    bodyJson: jsonBytes(body),
    secretJson: kind === "peering-secrets" ? jsonBytes(whole) : new Uint8Array(0),
    createIndex: numbers.get(create) ?? 0,
    modifyIndex: numbers.get(modify) ?? 0,
  };
}

/** The bytes as they came. */
export function rawOf(document: Document): Uint8Array {
  const { Raw: raw } = { ...parseJson(document.bodyJson), ...parseJson(document.secretJson) };
  return Buffer.from(typeof raw === "string" ? raw : "", "base64");
}

function readFields(raw: Uint8Array): Fields {
  const numbers = new Map<number, number>();
  const texts = new Map<number, string>();
  const reader = Reader.create(raw);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const field = tag >>> 3;
    switch (tag & 7) {
      case 0:
        numbers.set(field, Number(reader.uint64()));
        break;
      case 2:
        texts.set(field, new TextDecoder().decode(reader.bytes()));
        break;
      default:
        reader.skipType(tag & 7);
    }
  }
  return { numbers, texts };
}
