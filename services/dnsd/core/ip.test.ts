import { expect, test } from "bun:test";
import fc from "fast-check";
import { formatAddrLabel, formatIp, parseAddrLabel, parseIp, parseReverseName } from "./ip.ts";

test("an IPv4 address is four numbers without leading zeros", () => {
  expect(parseIp("10.0.0.255")).toEqual(Uint8Array.of(10, 0, 0, 255));
  const wrong = ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1..2.3", "1.2.3.4 ", "web"];
  for (const text of wrong) expect(parseIp(text)).toBeUndefined();
});

test("an IPv6 address is written in the shortest form", () => {
  const pairs: [string, string][] = [
    ["2607:20:4005:808:0:0:0:200e", "2607:20:4005:808::200e"],
    ["0:0:0:0:0:0:0:0", "::"],
    ["::1", "::1"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["2001:DB8::FFFF", "2001:db8::ffff"],
  ];
  for (const [text, shortest] of pairs) expect(formatIp(parseIp(text)!)).toBe(shortest);
  const wrong = [":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::"];
  for (const text of wrong) expect(parseIp(text)).toBeUndefined();
});

test("an IPv4 address mapped into IPv6 counts as IPv4", () => {
  expect(formatIp(parseIp("::ffff:10.1.2.3")!)).toBe("10.1.2.3");
});

test("reading undoes writing", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }).filter((ip) => ip[10] !== 255),
  );
  fc.assert(fc.property(bytes, (ip) => {
    expect(parseIp(formatIp(ip))).toEqual(ip);
    expect(parseAddrLabel(formatAddrLabel(ip))).toEqual(ip);
  }));
});

test("a reverse name stands for an address only when it is whole", () => {
  expect(formatIp(parseReverseName("1.0.0.10.IN-ADDR.arpa.")!)).toBe("10.0.0.1");
  const nibbles = "6.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
  expect(formatIp(parseReverseName(`${nibbles}.ip6.arpa.`)!)).toBe("2001:db8::6");
  for (const name of ["0.0.10.in-addr.arpa.", "x.0.0.10.in-addr.arpa.", "6.0.ip6.arpa.", "arpa."]) {
    expect(parseReverseName(name)).toBeUndefined();
  }
});
