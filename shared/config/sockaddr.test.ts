import { expect, test } from "bun:test";
import { isAnyAddress, isPrivate, isWithin, parseCidr, parseIp } from "./ip-address.ts";
import { expandTemplate, TemplateError } from "./sockaddr.ts";
import type { HostInterface } from "./sockaddr.ts";

const interfaces: HostInterface[] = [
  { name: "lo", address: "127.0.0.1", family: 4, isLoopback: true },
  { name: "eth0", address: "192.168.1.9", family: 4, isLoopback: false },
  { name: "eth0", address: "fe80::1", family: 6, isLoopback: false },
  { name: "eth1", address: "203.0.113.7", family: 4, isLoopback: false },
];

test("the forms that agents' configurations use", () => {
  const cases: [string, string][] = [
    ["10.0.0.1", "10.0.0.1"],
    ["{{ GetPrivateIP }}", "192.168.1.9"],
    ['{{ GetInterfaceIP "eth1" }}', "203.0.113.7"],
    ['{{GetInterfaceIPs "eth0"}}', "192.168.1.9 fe80::1"],
    ['127.0.0.1 {{ GetInterfaceIP "eth0" }}', "127.0.0.1 192.168.1.9"],
    ['{{ GetAllInterfaces | include "network" "203.0.113.0/24" | attr "address" }}', "203.0.113.7"],
    [
      '{{ GetAllInterfaces | exclude "flags" "loopback" | include "type" "IPv4" | join "address" " " }}',
      "192.168.1.9 203.0.113.7",
    ],
    [
      '{{ GetAllInterfaces | include "name" "^eth" | sort "-address" | limit 1 | attr "name" }}',
      "eth0",
    ],
    ['{{ GetPrivateInterfaces | include "rfc" "1918" | attr "address" }}', "192.168.1.9"],
  ];
  for (const [text, expected] of cases) expect(expandTemplate(text, interfaces)).toBe(expected);
});

test("an unknown function is named", () => {
  expect(() => expandTemplate("{{ Nope }}", interfaces)).toThrow(TemplateError);
  expect(() => expandTemplate("{{ GetAllInterfaces | nope }}", interfaces)).toThrow('"nope"');
});

test("addresses and networks", () => {
  for (
    const bad of ["", "1.2.3", "256.1.1.1", "01.2.3.4", "1::2::3", "12345::", "x", "1:2:3:4:5:6:7"]
  ) {
    expect(parseIp(bad)).toBeUndefined();
  }
  expect(parseIp("::ffff:1.2.3.4")?.value).toBe(0xffff01020304n);
  expect(parseIp("[2001:db8::1]")?.family).toBe(6);
  expect(isAnyAddress("[::]") && isAnyAddress("0.0.0.0") && !isAnyAddress("127.0.0.1")).toBe(true);
  expect(parseCidr("10.0.0.0/33")).toBeUndefined();
  expect(isWithin(parseIp("10.1.2.3")!, parseCidr("10.0.0.0/8")!)).toBe(true);
  expect(isWithin(parseIp("11.1.2.3")!, parseCidr("10.0.0.0/8")!)).toBe(false);
  expect(isPrivate(parseIp("fd00::1")!)).toBe(true);
  expect(isPrivate(parseIp("8.8.8.8")!)).toBe(false);
});
