// The whole key table: what may stand in a configuration, and where its rows are found.

import type { Key } from "./key.ts";
import { key, nobody } from "./key.ts";
import { clusterKeys } from "./keys/cluster.ts";
import { deprecatedKeys, enterpriseKeys, segmentKeys } from "./keys/deprecated.ts";
import { dnsKeys } from "./keys/dns.ts";
import { curiaKeys, featureKeys, internalKeys } from "./keys/features.ts";
import { httpKeys } from "./keys/http.ts";
import { networkKeys } from "./keys/network.ts";
import { nodeKeys } from "./keys/node.ts";
import { securityKeys } from "./keys/security.ts";

/** Keys that have a value in every configuration. */
export const currentKeys: readonly Key[] = [
  ...nodeKeys,
  ...networkKeys,
  ...clusterKeys,
  ...httpKeys,
  ...dnsKeys,
  ...securityKeys,
  ...featureKeys,
  ...internalKeys,
  ...curiaKeys,
];

export const keyByPath: ReadonlyMap<string, Key> = new Map(
  currentKeys.map((row) => [row.path, row]),
);

/** Keys that only parse, besides the current ones. */
const historicKeys: readonly Key[] = [
  ...deprecatedKeys.map(({ path, type }) => key(path, type, null, nobody)),
  ...enterpriseKeys.map(({ path, type }) => key(path, type, null, nobody)),
  ...segmentKeys.map(({ path, type }) => key(path, type, null, nobody)),
  key("acl_enforce_version_8", "bool", null, nobody),
];

/** Everything a file may contain. */
export const acceptedKeys: readonly Key[] = [...currentKeys, ...historicKeys];
