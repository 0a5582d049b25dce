// Emits messages.js: one class per message with create, encode and decode on protobufjs's Reader and
// Writer. pbjs's own static target gave 626 kB for these files; this is a fifth of it, and instances
// have one shape with every field their own, which is what the hot paths and object spread want.

import type { Field, FieldType, Message, Schema } from "./schema.ts";
import { prelude } from "./prelude.ts";

export function emitMessages(schema: Schema): string {
  const enums = schema.enums.map((item) =>
    `export const ${item.name} = Object.freeze({ ${
      item.values.map(([name, value]) => `${name}: ${value}`).join(", ")
    } });\n`
  );
  return [prelude, ...enums, ...schema.messages.map(emitMessage)].join("\n");
}

function emitMessage(message: Message): string {
  const { name } = message;
  return `export class ${name} {
  constructor() {
${indent(4, message.fields.map((field) => `this.${field.name} = ${initial(field)};`))}${
    indent(4, [...message.oneofs.keys()].map((oneof) => `this.${oneof} = undefined;`))
  }  }
  static create(from) {
    const m = new ${name}();
    if (from == null) return m;
${indent(4, message.fields.map(createLine))}    return m;
  }
  static encode(m, w = newWriter()) {
${indent(4, message.fields.map(encodeLine))}    return w;
  }
  static decode(source, length) {
    const [r, end] = reader(source, length);
    return ${name}.read(r, end, 0);
  }
  static read(r, end, depth) {
    const outer = r.len;
    r.len = end;
    const m = new ${name}();
    while (r.pos < end) {
      const tag = r.tag();
      switch (tag) {
${message.fields.map(decodeCase).join("")}        default:
          r.skipType(tag & 7, depth, tag >>> 3);
      }
    }
    ended(r, end);
    r.len = outer;
    return m;
  }
}
`;
}

function indent(columns: number, lines: string[]): string {
  return lines.filter((line) => line !== "").map((line) => " ".repeat(columns) + line + "\n")
    .join("");
}

/** The field's value when it is absent: null inside a oneof and for messages. */
function initial(field: Field): string {
  if (field.shape === "repeated") return "emptyList";
  if (field.shape === "map") return "emptyMap";
  if (field.oneof || field.type.kind === "message") return "null";
  return zero(field.type);
}

function zero(type: FieldType): string {
  if (type.kind === "message") return `new ${type.name}()`;
  if (type.kind === "enum") return "0";
  return {
    double: "0",
    uint32: "0",
    int32: "0",
    uint64: "0",
    bool: "false",
    string: `""`,
    bytes: "emptyBytes",
  }[
    type.scalar
  ];
}

function createLine(field: Field): string {
  const { name, type } = field;
  const value = (from: string) =>
    type.kind === "message"
      ? `${from} instanceof ${type.name} ? ${from} : ${type.name}.create(${from})`
      : from;
  const from = `from.${name}`;
  const set = field.shape === "repeated"
    ? `m.${name} = ${type.kind === "message" ? `${from}.map((v) => ${value("v")})` : from};`
    : field.shape === "map"
    ? `m.${name} = createMap(${from}, (v) => ${value("v")});`
    : `m.${name} = ${value(from)};`;
  if (!field.oneof) return `if (${from} != null) ${set}`;
  return `if (${from} != null) { ${set} m.${field.oneof} = "${name}"; }`;
}

const wireTypes = { double: 1, uint32: 0, int32: 0, uint64: 0, bool: 0, string: 2, bytes: 2 };

function wireType(type: FieldType): number {
  return type.kind === "scalar" ? wireTypes[type.scalar] : type.kind === "enum" ? 0 : 2;
}

function writeValue(number: number, type: FieldType, value: string): string {
  const tag = `w.uint32(${number * 8 + wireType(type)})`;
  if (type.kind === "message") {
    return `${type.name}.encode(${value}, ${tag}.fork()).ldelim();`;
  }
  if (type.kind === "enum") return `${tag}.int32(${value});`;
  if (type.scalar === "uint64") return `${tag}, writeUint64(w, ${value});`;
  return `${tag}.${type.scalar}(${value});`;
}

function encodeLine(field: Field): string {
  const value = `m.${field.name}`;
  const { number, type } = field;
  if (field.shape === "map") {
    return `if (${value} != null) for (const k in ${value}) { ` +
      `w.uint32(${number * 8 + 2}).fork().uint32(10).string(k); ` +
      `${writeValue(2, type, `${value}[k]`)} w.ldelim(); }`;
  }
  if (field.shape === "repeated") {
    return `if (${value} != null) for (let i = 0; i < ${value}.length; i++) ` +
      (isPacked(type) ? "" : writeValue(number, type, `${value}[i]`)) +
      (isPacked(type)
        ? `{ if (i === 0) w.uint32(${number * 8 + 2}).fork(); ${
          packedValue(type, `${value}[i]`)
        } if (i === ${value}.length - 1) w.ldelim(); }`
        : "");
  }
  if (field.oneof || type.kind === "message") {
    return `if (${value} != null) ${block(writeValue(number, type, value))}`;
  }
  const test = type.kind === "scalar" && type.scalar === "bytes"
    ? `${value} != null && ${value}.length > 0`
    : value;
  return `if (${test}) ${block(writeValue(number, type, value))}`;
}

function block(statement: string): string {
  return `{ ${statement} }`;
}

function isPacked(type: FieldType): boolean {
  return type.kind === "enum" ||
    (type.kind === "scalar" && type.scalar !== "string" && type.scalar !== "bytes");
}

function packedValue(type: FieldType, value: string): string {
  if (type.kind === "enum") return `w.int32(${value});`;
  if (type.kind === "scalar" && type.scalar === "uint64") return `writeUint64(w, ${value});`;
  return `w.${type.kind === "scalar" ? type.scalar : ""}(${value});`;
}

function readValue(type: FieldType, end = "end"): string {
  if (type.kind === "message") {
    return `${type.name}.read(r, enter(r, ${end}, depth), depth + 1)`;
  }
  if (type.kind === "enum") return "r.int32()";
  return type.scalar === "uint64" ? "readUint64(r)" : `r.${type.scalar}()`;
}

function decodeCase(field: Field): string {
  const { name, number, type } = field;
  const lines: string[] = [];
  const open = (wire: number) => lines.push(`        case ${number * 8 + wire}: {`);
  const close = () => lines.push("          break;", "        }");
  if (field.shape === "map") {
    open(2);
    lines.push(
      "          const inner = enter(r, end, depth);",
      `          let key = "", value = ${zero(type)};`,
      "          while (r.pos < inner) {",
      "            const entryTag = r.tag();",
      "            if (entryTag === 10) key = r.string();",
      `            else if (entryTag === ${16 + wireType(type)}) value = ${
        readValue(type, "inner")
      };`,
      "            else r.skipType(entryTag & 7, depth, entryTag >>> 3);",
      "          }",
      "          ended(r, inner);",
      `          m.${name} = setEntry(m.${name}, key, value);`,
    );
    close();
  } else if (field.shape === "repeated") {
    open(wireType(type));
    lines.push(
      `          const item = ${readValue(type)};`,
      `          if (m.${name} === emptyList) m.${name} = [item];`,
      `          else m.${name}.push(item);`,
    );
    close();
    if (isPacked(type)) {
      open(2);
      lines.push(
        "          const inner = enter(r, end, depth);",
        `          if (m.${name} === emptyList) m.${name} = [];`,
        `          while (r.pos < inner) m.${name}.push(${readValue(type)});`,
        "          ended(r, inner);",
      );
      close();
    }
  } else {
    open(wireType(type));
    lines.push(`          m.${name} = ${readValue(type)};`);
    if (field.oneof) lines.push(`          m.${field.oneof} = "${name}";`);
    close();
  }
  return lines.join("\n") + "\n";
}
