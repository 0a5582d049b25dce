import { expect, test } from "bun:test";
import { compileFilter } from "./evaluate.ts";
import { serviceRowShape } from "./shapes.ts";

const one = {
  ServiceID: "1",
  Node: "f1-x",
  ServicePort: 80,
  ServiceTags: ["red", "green"],
  ServiceMeta: new Map([["ver", "1.2"]]),
  NodeMeta: new Map([["os", "linux"], ["a.b", "dot"]]),
};
const two = {
  ServiceID: "2",
  Node: "f2-x",
  ServicePort: 8080,
  ServiceEnableTagOverride: true,
  ServiceTags: [],
  ServiceMeta: new Map<string, string>(),
  NodeMeta: null,
};

const kept: [string, string][] = [
  ["ServiceID == 1", "1"],
  ["ServiceID==`2`", "2"],
  ["ServicePort != 80", "2"],
  ["ServicePort == `0x50`", "1"],
  ["ServiceEnableTagOverride == true", "2"],
  ["red in ServiceTags", "1"],
  ["ServiceTags contains green", "1"],
  ["red not in ServiceTags", "2"],
  ["ServiceID in ServiceID", ""],
  ["Node contains f1", "1"],
  ["ServiceTags is empty", "2"],
  ["ServiceTags is not empty", "1"],
  ["ver in ServiceMeta", "1"],
  ["ServiceMeta.ver == `1.2`", "1"],
  ["ServiceMeta.nope == x", ""],
  ["ServiceMeta.ver != `9`", "12"],
  ["ServiceMeta.ver matches `^9`", "2"],
  ["ServiceMeta.ver not matches `^1`", "2"],
  ['NodeMeta["a.b"] == dot', "1"],
  ["NodeMeta is empty", "2"],
  ["ServiceID == 1 or ServiceID == 2 and ServicePort == 1", "1"],
  ["(ServiceID == 1 or ServiceID == 2) and ServicePort == 8080", "2"],
  ["not ServiceID == 1", "2"],
  ["not not ServiceID == 1", "1"],
  ["Node matches `^f[12]-`", "12"],
  ["ServiceID\t==\n1", "1"],
];

test.each(kept)("%s keeps %s", (filter, ids) => {
  const keep = compileFilter(filter, serviceRowShape);
  expect([one, two].filter(keep).map((row) => row.ServiceID).join("")).toBe(ids);
});

const refused: [string, string][] = [
  ["ServicePort == 0x50", '1:17 (16): rule "number": Invalid number literal'],
  [
    "ServiceID == '1'",
    '1:14 (13): no match found, expected: "-", "0", "\\"", "`", [ \\t\\r\\n], [1-9] or [a-zA-Z]',
  ],
  [
    "ServiceID == 1 AND ServiceID == 1",
    '1:16 (15): no match found, expected: "and", "or", [ \\t\\r\\n] or EOF',
  ],
  ["Foo == 1", 'Selector "Foo" is not valid'],
  ["serviceid == 1", 'Selector "serviceid" is not valid'],
  ["80 in ServicePort", 'Invalid match operator "In" for selector "ServicePort"'],
  [
    "ServicePort == abc",
    'Failed to coerce value "abc" for selector "ServicePort": strconv.ParseInt: parsing "abc": ' +
    "invalid syntax",
  ],
  [
    "Node matches `(`",
    'Failed to compile regular expression "(": error parsing regexp: missing closing ): `(`',
  ],
  [
    "()",
    '1:2 (1): no match found, expected: "(", "-", "0", "\\"", "`", "not", [ \\t\\r\\n], [1-9] or ' +
    "[a-zA-Z]",
  ],
  ["ServiceID is empty", 'Invalid match operator "Is Empty" for selector "ServiceID"'],
];

test.each(refused)("%s is refused", (filter, text) => {
  expect(() => compileFilter(filter, serviceRowShape)).toThrow(
    `Failed to create boolean expression evaluator: ${text}`,
  );
});

test("deep nesting is refused, not recursed into", () => {
  expect(() => compileFilter("(".repeat(100_000), serviceRowShape)).toThrow("nested too deeply");
});
