// Leaving in order: tell the intent, tell the death, linger so that the news spreads. Without it the
// others would see a failure.
import { type LeaveStage, type Pool, setTimer } from "../state.ts";
import { hasOtherAlive } from "../swim/nodes.ts";
import { announceDeath } from "../swim/rumours.ts";
import { encodeSerf, type LeaveIntent } from "../wire/serf.ts";
import { snapshotLine } from "./clock-lines.ts";
import { heardLeave } from "./roster.ts";
import { tellAll } from "./telling.ts";

export function startLeave(pool: Pool): void {
  if (pool.leave === "left") pool.effects.push({ kind: "left" });
  if (pool.leave !== "no") return;
  snapshotLine(pool, { kind: "leave" });
  pool.leave = "telling-intent";
  const intent: LeaveIntent = {
    LTime: pool.clock.time,
    Node: pool.settings.name,
    Prune: false,
  };
  pool.clock.increment();
  heardLeave(pool, intent);
  if (!hasOtherAlive(pool)) return enter(pool, "telling-death");
  const message = encodeSerf({ kind: "leave", body: intent });
  pool.intentQueue.add({ message, notify: "telling-intent" });
  setTimer(pool, { kind: "leave", stage: "telling-intent" }, pool.settings.broadcastTimeoutMs);
}

/** A stage's news has been told, or it took too long. */
export function finishLeaveStage(pool: Pool, stage: string): void {
  if (pool.leave !== stage) return;
  if (stage === "telling-intent") enter(pool, "telling-death");
  else if (stage === "telling-death") enter(pool, "lingering");
  else if (stage === "lingering") enter(pool, "left");
}

function enter(pool: Pool, stage: LeaveStage): void {
  pool.leave = stage;
  const { broadcastTimeoutMs, leavePropagateDelayMs } = pool.settings;
  switch (stage) {
    case "telling-death":
      if (!announceDeath(pool, "telling-death")) return enter(pool, "left");
      setTimer(pool, { kind: "leave", stage }, broadcastTimeoutMs);
      return;
    case "lingering":
      setTimer(pool, { kind: "leave", stage }, leavePropagateDelayMs);
      return;
    case "left":
      tellAll(pool);
      pool.effects.push({ kind: "left" });
  }
}
