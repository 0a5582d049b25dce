// Protocol faults planted one at a time into a copy of the Raft core: the simulator must find each.
// A fault is a text that must occur exactly once in its file, and what takes its place.

import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Flavour } from "./mix.ts";
import type { RaftFactory } from "./world.ts";

export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The kind of run in which it shows soonest. */
  readonly flavour: Flavour;
}

export const mutants: readonly Mutant[] = [
  {
    name: "an entry of an older term is committed by counting",
    flavour: "elections",
    file: "leader.ts",
    find: "if (index <= s.commitIndex || index < leadership.firstIndex) return;",
    replace: "if (index <= s.commitIndex) return;",
  },
  {
    name: "a vote is not persisted",
    flavour: "elections",
    file: "state.ts",
    find: "s.disk.writeHardState({ term, votedFor });",
    replace: 's.disk.writeHardState({ term, votedFor: "" });',
  },
  {
    name: "a lease is taken without a majority's promise",
    flavour: "reads",
    file: "lease.ts",
    find: "const untilMs = majorityOfVoters(s, own, (peer) => peer.leaseUntilMs);",
    replace: "const untilMs = own;",
  },
  {
    name: "a lease goes on during a transfer",
    flavour: "reads",
    file: "lease.ts",
    find: "if (leadership.transfer || leadership.leaseBlocks.size > 0) return 0;",
    replace: "",
  },
  {
    name: "a snapshot is taken without its membership",
    flavour: "members",
    file: "snapshot.ts",
    find: "s.members.restore(configuration, Infinity);",
    replace: "",
  },
  {
    name: "a snapshot keeps a log of another history",
    flavour: "snapshots",
    file: "snapshot.ts",
    find: "if (s.log.termAt(index) === term) {",
    replace: "if (s.log.lastIndex >= index) {",
  },
  {
    name: "a read is served before the term's first entry is committed",
    flavour: "elections",
    file: "reads.ts",
    find: "if (readyIndex(s) === 0 || !begin(s, read)) leadership.reads.push(read);",
    replace: "if (!begin(s, read)) leadership.reads.push(read);",
  },
  {
    name: "a read is confirmed by a round that began before it",
    flavour: "reads",
    file: "reads.ts",
    find: "read.round = leadership.round + 1;",
    replace: "read.round = leadership.round;",
  },
  {
    name: "a vote goes to a log that lacks entries",
    flavour: "elections",
    file: "voter.ts",
    find: "return s.log.isUpToDate(m.lastTerm, m.lastIndex);",
    replace: "return true;",
  },
  {
    name: "a second vote in one term",
    flavour: "elections",
    file: "voter.ts",
    find: '(s.votedFor === from || (s.votedFor === "" &&',
    replace: '(s.votedFor !== s.id || (s.votedFor === "" &&',
  },
  {
    name: "a voter does not protect the leader it promised to",
    flavour: "reads",
    file: "voter.ts",
    find: 'return s.role === "leader" || s.nowMs < s.promiseUntilMs;',
    replace: 'return s.role === "leader";',
  },
  {
    name: "a follower acknowledges before its disk has the entries",
    flavour: "disks",
    file: "follower.ts",
    find: "matchIndex > s.disk.persistedIndex ? s.disk.latestSeq : s.disk.hardStateSeq;",
    replace: "s.disk.hardStateSeq;",
  },
  {
    name: "the leader counts itself before its disk has the entries",
    flavour: "disks",
    file: "leader.ts",
    find: "majorityOfVoters(s, s.disk.persistedIndex, (peer) => peer.matchIndex);",
    replace: "majorityOfVoters(s, s.log.lastIndex, (peer) => peer.matchIndex);",
  },
  {
    name: "messages leave before term and vote are durable",
    flavour: "elections",
    file: "state.ts",
    find: "sendAfter(s, s.disk.hardStateSeq, to, message);",
    replace: "sendAfter(s, 0, to, message);",
  },
  {
    name: "an adopted term is not persisted",
    flavour: "elections",
    file: "state.ts",
    find: "s.disk.writeHardState({ term, votedFor });",
    replace: 'if (votedFor !== "") s.disk.writeHardState({ term, votedFor });',
  },
  {
    name: "a late message cuts what came after it",
    flavour: "any",
    file: "follower.ts",
    find:
      "if (term !== undefined) truncateFrom(s, entry.index);\n      break;\n    }\n    known++;\n  }",
    replace:
      "if (term !== undefined) truncateFrom(s, entry.index);\n      break;\n    }\n    known++;\n" +
      "  }\n  const end = entries.at(-1)?.index;\n" +
      "  if (known === entries.length && end && end < s.log.lastIndex) truncateFrom(s, end + 1);",
  },
  {
    name: "a change of members before the last one is committed",
    flavour: "members",
    file: "proposals.ts",
    find: "if (latest.index > s.commitIndex) return",
    replace: "if (latest.index < 0) return",
  },
  {
    name: "a change of members that was cut off stays in force",
    flavour: "members",
    file: "follower.ts",
    find: "s.members.truncateFrom(index);",
    replace: "",
  },
  {
    name: "a server with a damaged log votes as if it had forgotten",
    flavour: "disks",
    file: "restore.ts",
    find: "promised: restored.promised,",
    replace: "promised: undefined,",
  },
  {
    name: "a restarted voter forgets its promise",
    flavour: "reads",
    file: "restore.ts",
    find: "s.promiseUntilMs = isAlone ? s.nowMs : s.nowMs + s.settings.electionMinMs;",
    replace: "s.promiseUntilMs = s.nowMs;",
  },
  {
    name: "a lease is counted from the answer instead of the question",
    flavour: "reads",
    file: "lease.ts",
    find: "const untilMs = sentMs + leaseOf(s, promiseMs);",
    replace: "const untilMs = s.nowMs + leaseOf(s, promiseMs);",
  },
];

const root = resolve(import.meta.dir, "../..");
const coreFolder = join(root, "services/raftd/core/raft");

/** The core with this fault in it. Throws if the code no longer has the text to change. */
export async function plant(mutant: Mutant): Promise<RaftFactory> {
  const folder = mkdtempSync(join(tmpdir(), "curia-mutant-"));
  try {
    cpSync(coreFolder, folder, { recursive: true });
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const source = readFileSync(path, "utf8");
      const changed = name === mutant.file ? mutated(source, mutant) : source;
      writeFileSync(path, changed.replaceAll('"#shared/', `"${root}/shared/`));
    }
    const { Raft } = await import(pathToFileURL(join(folder, "raft.ts")).href);
    return (options) => new Raft(options);
  } finally {
    rmSync(folder, { recursive: true });
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
