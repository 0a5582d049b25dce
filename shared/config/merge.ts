// Layers of settings to one: later scalars win, lists grow, maps merge by key.

import type { Settings } from "./decode.ts";
import type { KeyType } from "./key.ts";
import { currentKeys, keyByPath } from "./table.ts";

const listTypes: ReadonlySet<KeyType> = new Set(["strings", "objects", "anys"]);
const mapTypes: ReadonlySet<KeyType> = new Set(["map", "lists", "durations", "ints", "any"]);

export function isListType(type: KeyType): boolean {
  return listTypes.has(type);
}

export function mergeSettings(layers: readonly Settings[]): Settings {
  const merged: Settings = new Map();
  for (const layer of layers) {
    for (const [path, value] of layer) {
      merged.set(path, mergeValue(keyByPath.get(path)!.type, merged.get(path), value));
    }
  }
  return merged;
}

function mergeValue(type: KeyType, before: unknown, value: unknown): unknown {
  if (before === undefined || before === null) return value;
  if (listTypes.has(type)) return [...before as unknown[], ...value as unknown[]];
  if (mapTypes.has(type)) return { ...before as object, ...value as object };
  return value;
}

/** Every key's own default. */
export function defaultSettings(): Settings {
  return new Map(currentKeys.map(({ path, initial }) => [path, initial]));
}

/** What -dev lays over the defaults; files and flags still win. */
export function devSettings(): Settings {
  return new Map<string, unknown>([
    ["bind_addr", "127.0.0.1"],
    ["disable_anonymous_signature", true],
    ["disable_keyring_file", true],
    ["enable_debug", true],
    ["log_level", "DEBUG"],
    ["server", true],
    ["ui_config.enabled", true],
    ["gossip_lan.gossip_interval", "100ms"],
    ["gossip_lan.probe_interval", "100ms"],
    ["gossip_lan.probe_timeout", "100ms"],
    ["gossip_lan.suspicion_mult", 3],
    ["gossip_wan.gossip_interval", "100ms"],
    ["gossip_wan.probe_interval", "100ms"],
    ["gossip_wan.probe_timeout", "100ms"],
    ["gossip_wan.suspicion_mult", 3],
    ["ports.grpc", 8502],
    ["peering.enabled", true],
    ["performance.raft_multiplier", 1],
  ]);
}
