// A state file whose pages or rows are damaged: it is looked at as a whole at the start after that
// was noticed, and when it is so, the server begins with none. The leader sends it the state again;
// a log that was never compacted brings it back by itself.

import { closeSync, existsSync, mkdirSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "#shared/log.ts";
import { inspectStateFile } from "../state/applied.ts";
import { damageOf } from "../state/recount.ts";
import { LogStore } from "./log-store.ts";
import { removeTemporary } from "./snapshots.ts";
import { currentStateFile, StateFiles } from "./state-files.ts";

const markerName = "state.damaged";

/** The next start is to look at all of the state. */
export function noteDamage(folder: string): void {
  closeSync(openSync(join(folder, markerName), "w", 0o640));
}

/** Before anything in it is opened. */
export function prepareFolder(folder: string, log: Pick<Log, "warn" | "error">): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  removeTemporary(folder);
  repairState(folder, log);
}

/** Before the state is opened. Every step may be the last: the marker goes when all is done. */
export function repairState(folder: string, log: Pick<Log, "warn" | "error">): void {
  const file = currentStateFile(folder);
  if (file === undefined || !existsSync(file)) return;
  const marker = join(folder, markerName);
  if (!existsSync(marker) && inspectStateFile(file, "position") !== undefined) return;
  const damage = damageOf(file);
  if (damage === undefined) {
    log.warn({ file }, "the state file was noted as damaged, and is whole");
  } else {
    noteDamage(folder);
    const text = "the state file is damaged: this server begins without, the leader sends it again";
    log.error({ file, damage }, text);
    forgetCompactedLog(join(folder, "log.db"));
    StateFiles.beginAnew(folder);
  }
  rmSync(marker, { force: true });
}

/** A log that does not reach back to the beginning is of no use without the state before it. That it
 *  was there is remembered: no vote may forget what this server had. */
function forgetCompactedLog(path: string): void {
  const log = new LogStore(path);
  const { base, lastIndex, termStarts, promised } = log.open();
  if (base.index > 0) {
    const term = termStarts.at(-1)?.term ?? base.term;
    log.forget(promised ?? { index: lastIndex, term });
  }
  log.close();
}
