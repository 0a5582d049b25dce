import { expect, test } from "bun:test";
import { formatAddress, formatEndpoint, parseAddress, parseEndpoint } from "./address.ts";

const pairs: [text: string, hex: string][] = [
  ["127.0.0.1", "7f000001"],
  ["::", "00000000000000000000000000000000"],
  ["::1", "00000000000000000000000000000001"],
  ["fe80::1:0:0:2", "fe800000000000000001000000000002"],
  ["2001:db8::", "20010db8000000000000000000000000"],
  ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008"],
];

for (const [text, hex] of pairs) {
  test(`${text} both ways`, () => {
    expect(parseAddress(text)!.toHex()).toBe(hex);
    expect(formatAddress(Uint8Array.fromHex(hex))).toBe(text);
  });
}

test("an IPv4 address in sixteen bytes is shown as IPv4", () => {
  const mapped = parseAddress("::ffff:10.1.2.3")!;
  expect([mapped.length, formatAddress(mapped)]).toEqual([16, "10.1.2.3"]);
});

test("what is no address is undefined", () => {
  for (const text of ["", "1.2.3", "256.1.1.1", "1::2::3", "12345::", "g::", "1:2:3", "a.b.c.d"]) {
    expect(parseAddress(text)).toBeUndefined();
  }
});

test("endpoints carry brackets around IPv6", () => {
  for (const text of ["127.0.0.1:8301", "[fe80::1]:8301"]) {
    expect(formatEndpoint(parseEndpoint(text)!)).toBe(text);
  }
  for (const text of ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "x:1"]) {
    expect(parseEndpoint(text)).toBeUndefined();
  }
});
