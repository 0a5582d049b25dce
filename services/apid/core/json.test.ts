import { expect, test } from "bun:test";
import { readJson } from "./json-reader.ts";
import {
  bool,
  bytes,
  decode,
  duration,
  int,
  list,
  map,
  object,
  text,
  uint64,
} from "./json-schema.ts";
import { byBytes, indentJson, Raw, writeJson } from "./json-writer.ts";

test("output is Go's: HTML-safe, sorted maps, exact numbers, omitted fields", () => {
  const value = {
    A: '<a>&\u2028\u0001\n"',
    B: new Map([["b", 1], ["a", 2], ["10", 3], ["9", 4]]),
    C: 18446744073709551615n,
    D: undefined,
    E: new Raw("7"),
    F: ["\ud800", "é"],
  };
  expect(writeJson(value)).toBe(
    '{"A":"\\u003ca\\u003e\\u0026\\u2028\\u0001\\n\\"","B":{"10":3,"9":4,"a":2,"b":1},' +
      '"C":18446744073709551615,"E":7,"F":["\\ufffd","é"]}',
  );
});

test("keys sort by their UTF-8 bytes", () => {
  const keys = ["\u{10000}", "\uffff", "z", "a", "ab"];
  const wanted = [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  expect([...keys].sort(byBytes)).toEqual(wanted);
});

test("?pretty indents by four and keeps empty objects closed", () => {
  const compact = '{"a":[1,{"b":"x{,}\\""}],"c":{},"d":[]}';
  expect(indentJson(compact)).toBe(
    '{\n    "a": [\n        1,\n        {\n            "b": "x{,}\\""\n        }\n    ],\n' +
      '    "c": {},\n    "d": []\n}',
  );
});

const malformed: [string, string][] = [
  ["", "EOF"],
  [" \n", "EOF"],
  ["{", "unexpected EOF"],
  ["nope", "invalid character 'o' in literal null (expecting 'u')"],
  ["{nope", "invalid character 'n' looking for beginning of object key string"],
  ["x", "invalid character 'x' looking for beginning of value"],
  ['{"a" 1}', "invalid character '1' after object key"],
  ['{"a":1 "b"}', "invalid character '\"' after object key:value pair"],
  ["[1 2]", "invalid character '2' after array element"],
  ['"\\x"', "invalid character 'x' in string escape code"],
  ['"\n"', "invalid character '\\n' in string literal"],
  ["-x", "invalid character 'x' in numeric literal"],
  ["'a'", "invalid character '\\'' looking for beginning of value"],
  ["[1,]", "invalid character ']' looking for beginning of value"],
];

test.each(malformed)("malformed %j: %s", (body, error) => {
  expect(() => readJson(body)).toThrow(error);
});

test("a body nested without end is refused, not recursed into", () => {
  expect(() => readJson("[".repeat(1_000_000))).toThrow("exceeded max depth");
});

const schema = object("Thing", {
  fields: {
    Name: text,
    Port: int,
    Flags: uint64,
    On: bool,
    TTL: duration,
    Tags: list(text),
    Meta: map(text),
    Value: bytes,
    ServiceID: text,
  },
  aliases: { service_id: "ServiceID" },
  ignored: ["Address"],
});

test("keys match in any case, trailing data and nulls are ignored, 64 bits stay exact", () => {
  const body = '{"nAmE":"x","port":null,"FLAGS":18446744073709551615,"ttl":"1m","meta":{"a":"b"},' +
    '"value":"AP8=","address":5,"service_id":"s"} trailing';
  expect(decode(body, schema)).toEqual({
    Name: "x",
    Flags: 18446744073709551615n,
    TTL: 60_000_000_000n,
    Meta: Object.assign(Object.create(null), { a: "b" }),
    Value: new Uint8Array([0, 255]),
    ServiceID: "s",
  });
  expect(decode('{"service_id":"a","ServiceID":"b"}', schema)).toEqual({ ServiceID: "b" });
  expect(decode('{"service_id":"a","ServiceID":""}', schema)).toEqual({ ServiceID: "a" });
});

const refused: [string, string][] = [
  ['{"Foo":1}', 'json: unknown field "Foo"'],
  ["[]", "json: cannot unmarshal array into Go value of type Thing"],
  ['{"Port":"80"}', "json: cannot unmarshal string into Go struct field Thing.Port of type int"],
  ['{"Port":1.5}', "json: cannot unmarshal number 1.5 into Go struct field Thing.Port of type int"],
  [
    '{"Flags":-1}',
    "json: cannot unmarshal number -1 into Go struct field Thing.Flags of type uint64",
  ],
  ['{"TTL":"1"}', 'time: missing unit in duration "1"'],
  ['{"Value":"!!"}', "illegal base64 data at input byte 0"],
  [
    '{"Tags":"a"}',
    "json: cannot unmarshal string into Go struct field Thing.Tags of type []string",
  ],
];

test.each(refused)("%s is refused: %s", (body, error) => {
  expect(() => decode(body, schema)).toThrow(error);
});
