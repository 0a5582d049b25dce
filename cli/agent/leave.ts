// The node's leaving, as an act of its own: hand over leadership, leave the pools, wait until the
// others have taken note.

import { Gossip, Raft } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import { socketPath } from "#shared/config/load.ts";
import type { EffectiveConfig } from "#shared/config/types.ts";
import { toCuriaError } from "#shared/errors.ts";
import { identityOf } from "./identity.ts";
import type { LineLevel } from "./log-lines.ts";

const leaveTimeoutMs = 15_000;
const transferTimeoutMs = 2_000;

/** Resolves to true when the node left its pools. */
export async function leaveCluster(
  config: EffectiveConfig,
  log: (level: LineLevel, message: string, fields?: Record<string, unknown>) => void,
): Promise<boolean> {
  const connect = (daemon: string) =>
    new BusClient({
      addresses: [{ path: socketPath(config, daemon) }],
      daemon,
      identity: identityOf(config),
    });
  if (config.server) {
    const raftd = connect("raftd");
    try {
      await raftd.of(Raft).handOver({}, { timeoutMs: transferTimeoutMs });
    } catch (error) {
      // Nobody to hand over to: there is nothing to do.
      log("debug", "Leadership was not handed over", { reason: toCuriaError(error).message });
    } finally {
      raftd.close();
    }
  }
  const gossipd = connect("gossipd");
  try {
    await gossipd.of(Gossip).leave({}, { timeoutMs: leaveTimeoutMs });
  } catch (error) {
    log("error", "Error leaving cluster", { error: toCuriaError(error).message });
    return false;
  } finally {
    gossipd.close();
  }
  if (config.server) await Bun.sleep(config.raft.leaveDrainTimeMs);
  return true;
}
