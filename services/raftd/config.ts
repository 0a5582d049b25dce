// Which part of the node's configuration raftd uses. Nothing of it changes while it runs.

import type { EffectiveConfig } from "#shared/config/types.ts";
import { type RaftSettings, scaledSettings } from "./core/raft/settings.ts";

export function raftSettings(config: Pick<EffectiveConfig, "raft">): RaftSettings {
  const { multiplier, trailingLogs } = config.raft;
  return scaledSettings(multiplier, { trailingEntries: trailingLogs });
}
