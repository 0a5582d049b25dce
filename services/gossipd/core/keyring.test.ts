import { expect, test } from "bun:test";
import { formatKeyring, Keyring, parseKeyring } from "./keyring.ts";

const key = (fill: number) => new Uint8Array(16).fill(fill);

test("install appends, use moves to the front, the primary cannot be removed", () => {
  const ring = new Keyring([key(1)]);
  const order = () => ring.keys.map((one) => one[0]);
  expect(ring.install(key(2))).toBeUndefined();
  expect(ring.install(key(2))).toBeUndefined();
  expect(order()).toEqual([1, 2]);
  expect(ring.use(key(3))).toBe("requested key is not in the keyring");
  expect(ring.use(key(2))).toBeUndefined();
  expect(order()).toEqual([2, 1]);
  expect(ring.remove(key(2))).toBe("removing the primary key is not allowed");
  expect(ring.remove(key(1))).toBeUndefined();
  expect(order()).toEqual([2]);
  expect(ring.install(new Uint8Array(5))).toContain("key size");
});

test("the file holds base64, primary first", () => {
  const text = formatKeyring(new Keyring([key(1), key(2)]));
  expect(JSON.parse(text)).toEqual([key(1).toBase64(), key(2).toBase64()]);
  expect(parseKeyring(text)).toEqual([key(1), key(2)]);
});

test("a file that is none says what was expected", () => {
  for (const text of ["", "{}", "[]", "[1]", '["abc"]', '["AAAA"]']) {
    expect(typeof parseKeyring(text)).toBe("string");
  }
});
