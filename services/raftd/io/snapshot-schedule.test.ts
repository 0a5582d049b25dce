import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Applied } from "../state/store-types.ts";
import { SnapshotSchedule, surplus } from "./snapshot-schedule.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

test("the newest are kept, others' files are left alone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "curia-schedule-"));
  folders.push(folder);
  const dir = join(folder, "kept");
  let made = 0;
  const schedule = new SnapshotSchedule({
    settings: { intervalMs: 0, retain: 2, dir },
    saves: {
      make() {
        const file = join(folder, "archive.tmp");
        writeFileSync(file, `archive ${++made}`);
        const applied = { index: 10 * made, indexBase: 5 } as Applied;
        return Promise.resolve({ file, applied, totalBytes: 9 });
      },
    },
    isLeader: () => true,
    log: { info: () => {}, error: () => {} } as never,
  });
  await schedule.run(Date.UTC(2026, 0, 1));
  writeFileSync(join(dir, "mine.snap"), "x");
  writeFileSync(join(dir, "curia-20250101000000000-1.snap.part"), "half");
  await schedule.run(Date.UTC(2026, 0, 2));
  const last = await schedule.run(Date.UTC(2026, 0, 3));
  expect(readdirSync(dir).sort()).toEqual([
    "curia-20260102000000000-25.snap",
    "curia-20260103000000000-35.snap",
    "mine.snap",
  ]);
  expect(readFileSync(last, "utf8")).toBe("archive 3");
  expect(readdirSync(folder)).toEqual(["kept"]);
});

test("at least one is kept, whatever the configuration says", () => {
  const names = [1, 2].map((day) => `curia-2026010${day}000000000-1.snap`);
  expect(surplus(names, 0)).toEqual([names[0]!]);
});
