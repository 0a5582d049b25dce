// Where a daemon listens.

import { join } from "node:path";
import type { EffectiveConfig } from "./types.ts";

/** `<daemon>.sock`, or `<daemon>.<n>.sock` where several instances run. */
export function socketPath(config: EffectiveConfig, daemon: string, instance = 1): string {
  const isSeveral = (config.instances[daemon] ?? 1) > 1;
  return join(config.runDir, isSeveral ? `${daemon}.${instance}.sock` : `${daemon}.sock`);
}
