// Protocol faults planted one at a time into a copy of the Raft core: the simulator must find each.
// A fault is a text that must occur exactly once in its file, and what takes its place.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { FaultKind, Flavour } from "./mix.ts";
import type { OpenStore } from "./store-state.ts";
import type { RaftFactory } from "./world.ts";

export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Where it was found last. Others are tried only when the code has moved on since. */
  readonly seed: number;
  /** The kind of run in which it shows soonest. */
  readonly flavour: Flavour;
  /** The only faults, where it takes just these. */
  readonly faults?: readonly FaultKind[];
}

export const mutants: readonly Mutant[] = [
  {
    name: "an entry of an older term is committed by counting",
    seed: 16,
    flavour: "elections",
    file: "core/raft/leader.ts",
    find: "if (index <= s.commitIndex || index < leadership.firstIndex) return;",
    replace: "if (index <= s.commitIndex) return;",
  },
  {
    name: "a vote is not persisted",
    seed: 8,
    flavour: "elections",
    file: "core/raft/state.ts",
    find: "s.disk.writeHardState({ term, votedFor });",
    replace: 's.disk.writeHardState({ term, votedFor: "" });',
  },
  {
    name: "a lease is taken without a majority's promise",
    seed: 2,
    flavour: "reads",
    faults: ["isolate"],
    file: "core/raft/lease.ts",
    find: "const untilMs = majorityOfVoters(s, own, (peer) => peer.leaseUntilMs);",
    replace: "const untilMs = own;",
  },
  {
    name: "a lease goes on during a transfer",
    seed: 19,
    flavour: "reads",
    faults: ["transfer", "isolate"],
    file: "core/raft/lease.ts",
    find: "if (leadership.transfer || leadership.leaseBlocks.size > 0) return 0;",
    replace: "",
  },
  {
    name: "a snapshot is taken without its membership",
    seed: 8,
    flavour: "members",
    file: "core/raft/snapshot.ts",
    find: "s.members.restore(configuration, Infinity);",
    replace: "",
  },
  {
    name: "a snapshot keeps a log of another history",
    seed: 20,
    flavour: "snapshots",
    file: "core/raft/snapshot.ts",
    find: "if (s.log.termAt(index) === term) {",
    replace: "if (s.log.lastIndex >= index) {",
  },
  {
    name: "a read is served before the term's first entry is committed",
    seed: 1,
    flavour: "elections",
    file: "core/raft/reads.ts",
    find: "if (readyIndex(s) === 0 || !begin(s, read)) leadership.reads.push(read);",
    replace: "if (!begin(s, read)) leadership.reads.push(read);",
  },
  {
    name: "a consistent read is answered without asking anyone",
    seed: 2,
    flavour: "reads",
    faults: ["isolate"],
    file: "core/raft/reads.ts",
    find: 'if (read.mode === "default" && leaseUntilMs(s) > 0) {',
    replace: 'if (read.mode === "consistent" || leaseUntilMs(s) > 0) {',
  },
  {
    name: "a vote goes to a log that lacks entries",
    seed: 1,
    flavour: "elections",
    file: "core/raft/voter.ts",
    find: "return s.log.isUpToDate(m.lastTerm, m.lastIndex);",
    replace: "return true;",
  },
  {
    name: "a second vote in one term",
    seed: 1,
    flavour: "elections",
    file: "core/raft/voter.ts",
    find: '(s.votedFor === from || (s.votedFor === "" &&',
    replace: '(s.votedFor !== s.id || (s.votedFor === "" &&',
  },
  {
    name: "a voter does not protect the leader it promised to",
    seed: 15,
    flavour: "reads",
    faults: ["squeeze"],
    file: "core/raft/voter.ts",
    find: 'return s.role === "leader" || s.nowMs < s.promiseUntilMs;',
    replace: 'return s.role === "leader";',
  },
  {
    name: "a follower acknowledges before its disk has the entries",
    seed: 1,
    flavour: "disks",
    file: "core/raft/follower.ts",
    find: "matchIndex > s.disk.persistedIndex ? s.disk.latestSeq : s.disk.hardStateSeq;",
    replace: "s.disk.hardStateSeq;",
  },
  {
    name: "the leader counts itself before its disk has the entries",
    seed: 8,
    flavour: "disks",
    file: "core/raft/leader.ts",
    find: "majorityOfVoters(s, s.disk.persistedIndex, (peer) => peer.matchIndex);",
    replace: "majorityOfVoters(s, s.log.lastIndex, (peer) => peer.matchIndex);",
  },
  {
    name: "messages leave before term and vote are durable",
    seed: 51,
    flavour: "elections",
    file: "core/raft/state.ts",
    find: "sendAfter(s, s.disk.hardStateSeq, to, message);",
    replace: "sendAfter(s, 0, to, message);",
  },
  {
    name: "an adopted term is not persisted",
    seed: 1,
    flavour: "elections",
    file: "core/raft/state.ts",
    find: "s.disk.writeHardState({ term, votedFor });",
    replace: 'if (votedFor !== "") s.disk.writeHardState({ term, votedFor });',
  },
  {
    name: "a late message cuts what came after it",
    seed: 8,
    flavour: "any",
    file: "core/raft/follower.ts",
    find:
      "if (term !== undefined) truncateFrom(s, entry.index);\n      break;\n    }\n    known++;\n  }",
    replace:
      "if (term !== undefined) truncateFrom(s, entry.index);\n      break;\n    }\n    known++;\n" +
      "  }\n  const end = entries.at(-1)?.index;\n" +
      "  if (known === entries.length && end && end < s.log.lastIndex) truncateFrom(s, end + 1);",
  },
  {
    name: "a change of members before the last one is committed",
    seed: 39,
    flavour: "members",
    file: "core/raft/proposals.ts",
    find: "if (latest.index > s.commitIndex) return",
    replace: "if (latest.index < 0) return",
  },
  {
    name: "a change of members that was cut off stays in force",
    seed: 11,
    flavour: "members",
    file: "core/raft/follower.ts",
    find: "s.members.truncateFrom(index);",
    replace: "",
  },
  {
    name: "a server with a damaged log votes as if it had forgotten",
    seed: 48,
    flavour: "disks",
    file: "core/raft/restore.ts",
    find: "promised: restored.promised,",
    replace: "promised: undefined,",
  },
  {
    name: "a restarted voter forgets its promise",
    seed: 28,
    flavour: "reads",
    faults: ["squeeze"],
    file: "core/raft/restore.ts",
    find: "s.promiseUntilMs = isAlone(s) ? s.nowMs : s.nowMs + s.settings.electionMinMs;",
    replace: "s.promiseUntilMs = s.nowMs;",
  },
  {
    name: "a lease is counted from the answer instead of the question",
    seed: 19,
    flavour: "reads",
    file: "core/raft/lease.ts",
    find: "const untilMs = sentMs + leaseOf(s, promiseMs);",
    replace: "const untilMs = s.nowMs + leaseOf(s, promiseMs);",
  },
];

/** Planted into the state tables, so it takes runs with those. */
export const storeMutants: readonly Mutant[] = [
  {
    name: "a write that is sent again is applied again",
    seed: 2,
    flavour: "reads",
    file: "state/tables/clients.ts",
    find: "return row.outcomes.get(sequence);",
    replace: "return undefined;",
  },
];

const root = resolve(import.meta.dir, "../..");
const raftd = join(root, "services/raftd");

/** The core with this fault in it. */
export async function plant(mutant: Mutant): Promise<RaftFactory> {
  const { Raft } = await planted(mutant, ["core/raft"], "core/raft/raft.ts");
  return (options) => new Raft(options);
}

/** The state tables with this fault in them. */
export async function plantStore(mutant: Mutant): Promise<OpenStore> {
  const folders = ["core/raft", "state", "state/tables", "state/archive"];
  const { Store } = await planted(mutant, folders, "state/store.ts");
  return (path) => new Store(path);
}

/** Throws if the code no longer has the text to change. */
async function planted(mutant: Mutant, folders: string[], entry: string) {
  const copy = mkdtempSync(join(tmpdir(), "curia-mutant-"));
  try {
    for (const folder of folders) {
      mkdirSync(join(copy, folder), { recursive: true });
      for (const name of readdirSync(join(raftd, folder)).filter((n) => n.endsWith(".ts"))) {
        const file = `${folder}/${name}`;
        const source = readFileSync(join(raftd, file), "utf8");
        const changed = file === mutant.file ? mutated(source, mutant) : source;
        const resolved = changed.replaceAll('"#shared/', `"${root}/shared/`)
          .replaceAll('"#proto/', `"${root}/proto/gen/`);
        writeFileSync(join(copy, file), resolved);
      }
    }
    return await import(pathToFileURL(join(copy, entry)).href);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function mutated(source: string, { name, file, find, replace }: Mutant): string {
  const parts = source.split(find);
  if (parts.length !== 2) {
    throw new Error(
      `mutant "${name}": expected its text once in ${file}, found ${parts.length - 1}`,
    );
  }
  return parts.join(replace);
}
