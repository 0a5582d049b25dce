// What a process of the command line says of itself on the bus.

import type { Identity } from "#shared/bus/types.ts";
import { release } from "#shared/config/release.ts";
import type { EffectiveConfig } from "#shared/config/types.ts";

export function identityOf(config: EffectiveConfig, daemon = "curia"): Identity {
  const { id, name, datacenter } = config.node;
  return { daemon, release, nodeId: id, node: name, datacenter };
}
