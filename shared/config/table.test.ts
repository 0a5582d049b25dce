import { expect, test } from "bun:test";
import { agentFlagSpecs } from "./agent-flags.ts";
import { decode } from "./decode.ts";
import { deprecatedKeys } from "./keys/deprecated.ts";
import { defaultSettings, devSettings } from "./merge.ts";
import { acceptedKeys, currentKeys, keyByPath } from "./table.ts";

test("every key stands in the table once", () => {
  const paths = acceptedKeys.map(({ path }) => path);
  expect(paths.length).toBeGreaterThan(280);
  expect(paths.filter((path, i) => paths.indexOf(path) !== i)).toEqual([]);
});

test("every flag has one key and a help text", () => {
  const names = agentFlagSpecs.map(({ name }) => name);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  expect(agentFlagSpecs.filter(({ help }) => help === "")).toEqual([]);
  expect(names.length).toBeGreaterThan(60);
});

test("every default is of its key's own type", () => {
  for (const key of currentKeys) {
    if (key.initial === null) continue;
    const nested = key.path.endsWith("compat_1.9")
      ? { telemetry: { "disable_compat_1.9": key.initial } }
      : key.path.split(".").reverse().reduce<unknown>(
        (value, name) => ({ [name]: value }),
        key.initial,
      );
    expect(decode(nested)).toEqual({
      settings: new Map([[key.path, key.initial]]),
      unknown: [],
      errors: [],
    });
  }
});

test("old keys lead to current ones, and -dev sets only keys that exist", () => {
  for (const { path, now } of deprecatedKeys) {
    expect(keyByPath.has(path)).toBe(false);
    expect(now === "" || keyByPath.has(now)).toBe(true);
  }
  for (const path of devSettings().keys()) expect(defaultSettings().has(path)).toBe(true);
});
