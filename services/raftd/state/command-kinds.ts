// Of which kinds an encoded command is, and whether this release knows all that is in it. Read from
// the bytes, since decoding drops what is not known.

import { Command } from "#proto/messages.js";
import { FinalError } from "#shared/final-error.ts";
import {
  commandKinds,
  firstReleaseKinds,
  laterParts,
  messageForms,
  verbCounts,
} from "./command-schema.ts";

/** Why a command cannot be taken. */
export type CommandFault =
  /** Something in it came after this release. */
  | { readonly kind: "unknown"; readonly part: string }
  /** It is of a kind that the caller does not allow. */
  | { readonly kind: "barred"; readonly number: number }
  | { readonly kind: "malformed"; readonly reason: string };

export type IsAllowed = (kind: number) => boolean;

interface Shape {
  readonly name: string;
  /** By field number; undefined: not known. */
  readonly fields: (Field | undefined)[];
  readonly required: readonly number[];
}

interface Field {
  /** 0: no kind of its own. */
  readonly kind: number;
  readonly message: Shape | undefined;
  /** The kind of each verb; undefined: the field is no verb. */
  readonly verbKinds: readonly number[] | undefined;
  readonly verbName: string;
}

/** Messages in messages: a batch of batches is no command that anybody sends. */
const depthMax = 8;

const shapes = new Map<string, Shape>();
const commandShape = shapeOf("Command");

function shapeOf(name: string): Shape {
  const known = shapes.get(name);
  if (known !== undefined) return known;
  const { fieldCount, types, required } = messageForms[name]!;
  const shape: Shape = { name, fields: [undefined], required };
  shapes.set(name, shape);
  for (let number = 1; number <= fieldCount; number++) {
    const type = types[number] ?? "";
    const verbs = verbCounts[type];
    shape.fields[number] = {
      kind: laterParts[`${name}.${number}`] ?? (name === "Command" ? number : 0),
      message: messageForms[type] && shapeOf(type),
      verbKinds: verbs === undefined
        ? undefined
        : Array.from({ length: verbs }, (_, verb) => laterParts[`${type} ${verb}`] ?? 0),
      verbName: type,
    };
  }
  return shape;
}

/** What is wrong with the command; undefined: it can be taken. */
export function commandFault(
  command: Uint8Array,
  isAllowed: IsAllowed = always,
): CommandFault | undefined {
  return new CommandScan(command, isAllowed).fault();
}

/** The command of a committed entry. Other servers apply it too, so there is no leaving it out: what
 *  is not known here ends this server for good. */
export function knownCommand(command: Uint8Array, index: number): Command {
  const fault = commandFault(command);
  if (fault?.kind === "unknown") {
    throw new FinalError(
      `Expected a known command at index ${index} but found ${faultText(fault)}: it was proposed ` +
        "by a newer release; run at least that release on this server",
    );
  }
  return Command.decode(command);
}

/** A fault in words, for whoever sent the command or found it in the log. */
export function faultText(fault: CommandFault): string {
  switch (fault.kind) {
    case "unknown":
      return `${fault.part}, which this release of curia does not know`;
    case "barred":
      return `a command of kind ${kindName(fault.number)}`;
    case "malformed":
      return fault.reason;
  }
}

export function kindName(kind: number): string {
  return commandKinds.get(kind) ?? String(kind);
}

/** What this release announces: a bit for each kind, in hex. */
export function announcedKinds(): string {
  let bits = 0n;
  for (const kind of commandKinds.keys()) bits |= 1n << BigInt(kind);
  return bits.toString(16);
}

/** Whether a server that announces this knows the kind. Without a word it knows the first ones. */
export function isAnnounced(kind: number, announced: string | undefined): boolean {
  if (kind <= firstReleaseKinds) return true;
  if (announced === undefined || !/^[0-9a-f]{1,64}$/.test(announced)) return false;
  return (BigInt(`0x${announced}`) >> BigInt(kind) & 1n) === 1n;
}

function always(): boolean {
  return true;
}

class CommandScan {
  readonly #bytes: Uint8Array;
  readonly #isAllowed: IsAllowed;
  #offset = 0;

  constructor(bytes: Uint8Array, isAllowed: IsAllowed) {
    this.#bytes = bytes;
    this.#isAllowed = isAllowed;
  }

  fault(): CommandFault | undefined {
    return this.#message(commandShape, this.#bytes.length, 0);
  }

  #message(shape: Shape, end: number, depth: number): CommandFault | undefined {
    if (depth > depthMax) return malformed("a command nested too deeply");
    let seen = 0;
    while (this.#offset < end) {
      const tag = this.#varint(end);
      const number = Math.floor(tag / 8);
      const field = shape.fields[number];
      if (field === undefined) {
        if (!(number > 0)) return malformed(`bytes that are no ${shape.name}`);
        return { kind: "unknown", part: `field ${number} of ${shape.name}` };
      }
      seen |= 1 << number;
      if (field.kind !== 0 && !this.#isAllowed(field.kind)) {
        return { kind: "barred", number: field.kind };
      }
      const fault = this.#value(shape, field, tag % 8, end, depth);
      if (fault !== undefined) return fault;
    }
    if (shape === commandShape && seen === 0) return malformed("a command of no kind");
    for (const number of shape.required) {
      if ((seen & 1 << number) === 0) return malformed(`${shape.name} without field ${number}`);
    }
    return undefined;
  }

  #value(
    shape: Shape,
    field: Field,
    wireType: number,
    end: number,
    depth: number,
  ): CommandFault | undefined {
    let length = 0;
    if (wireType === 0) {
      const value = this.#varint(end);
      if (!(value >= 0)) return malformed(`bytes that are no ${shape.name}`);
      if (field.verbKinds !== undefined) return this.#verb(field, value);
    } else if (wireType === 2) length = this.#varint(end);
    else if (wireType === 1) length = 8;
    else if (wireType === 5) length = 4;
    else length = Infinity;
    const valueEnd = this.#offset + length;
    const isOdd = field.message !== undefined && wireType !== 2 ||
      field.verbKinds !== undefined && wireType !== 0;
    if (!(valueEnd <= end) || isOdd) return malformed(`bytes that are no ${shape.name}`);
    if (field.message !== undefined) return this.#message(field.message, valueEnd, depth + 1);
    this.#offset = valueEnd;
    return undefined;
  }

  #verb({ verbKinds, verbName }: Field, verb: number): CommandFault | undefined {
    const kind = verbKinds![verb];
    if (kind === undefined) return { kind: "unknown", part: `${verbName} ${verb}` };
    if (kind !== 0 && !this.#isAllowed(kind)) return { kind: "barred", number: kind };
    return undefined;
  }

  /** NaN when there is none. The high bits of 64-bit numbers are rounded, which no one looks at. */
  #varint(end: number): number {
    let value = 0, factor = 1;
    for (let length = 0; length < 10 && this.#offset < end; length++) {
      const byte = this.#bytes[this.#offset++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
    return NaN;
  }
}

function malformed(reason: string): CommandFault {
  return { kind: "malformed", reason };
}
