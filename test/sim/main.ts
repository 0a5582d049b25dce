// deno task sim [--seed N] [--seeds K] [--minutes M] [--flavour F] [--store] [--trace]: runs
// seeds and prints what was seen. --store: with the production state tables.

import { parseArgs } from "node:util";
import { flavours } from "./mix.ts";
import { type RunReport, runSeed } from "./run.ts";
import { StoreStates } from "./store-state.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: "1" },
    minutes: { type: "string", default: "2" },
    flavour: { type: "string" },
    store: { type: "boolean", default: false },
    trace: { type: "boolean", default: false },
  },
});

const flavour = flavours.find((name) => name === values.flavour);
if (values.flavour !== undefined && flavour === undefined) {
  throw new Error(`expected --flavour to be one of ${flavours.join(", ")}, got ${values.flavour}`);
}
const first = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const seedCount = Number(values.seeds), minutes = Number(values.minutes);
const trace = values.trace ? (line: string) => console.log(line) : undefined;
const totals: Record<string, number> = {};
let failures = 0;
const startedMs = performance.now();

function add(report: RunReport): void {
  const { virtualMs, events, calls, elections, committed, faults } = report;
  const row = { ...report.counts, virtualMs, events, calls, elections, committed, faults };
  for (const [name, value] of Object.entries(row)) totals[name] = (totals[name] ?? 0) + value;
}

for (let i = 0; i < seedCount; i++) {
  const seed = first + i;
  const states = values.store ? new StoreStates() : undefined;
  const report = runSeed({ seed, minutes, flavour, states, trace });
  states?.close();
  add(report);
  if (report.violation === undefined) continue;
  failures++;
  console.log(`seed ${seed}: ${report.violation}`);
  const lean = (flavour ? ` --flavour ${flavour}` : "") + (values.store ? " --store" : "");
  console.log(`again: deno task sim --seed ${seed} --minutes ${minutes}${lean}`);
}

const tookS = (performance.now() - startedMs) / 1000;
const hours = (totals.virtualMs ?? 0) / 3_600_000;
console.log(
  `${seedCount} seeds from ${first}, ${hours.toFixed(2)} virtual hours in ${tookS.toFixed(1)} s, ` +
    `${failures} violations`,
);
for (const name of Object.keys(totals).sort()) {
  console.log(`  ${name}: ${Math.round(totals[name]!)}`);
}
process.exitCode = failures > 0 ? 1 : 0;
