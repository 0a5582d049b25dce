// The way out when too many servers are lost for good: raft/peers.json names the ones that are left,
// and at its next start each of them takes that as the configuration (spec: raft 13). What was in
// the log is applied, committed or not; the log begins anew.

import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { BusLog } from "#shared/bus/types.ts";
import { writeSynced } from "#shared/synced-file.ts";
import {
  checkedServers,
  decodeConfiguration,
  encodeConfiguration,
} from "../core/raft/membership.ts";
import type { Entry, Server } from "../core/raft/messages.ts";
import type { Applied } from "../state/store-types.ts";
import { LogStore } from "./log-store.ts";
import { RestoreBuilder, restoreMarkOf } from "./restore-builder.ts";
import { SnapshotLink } from "./snapshot-link.ts";
import { StateFiles } from "./state-files.ts";

const infoText = `The file peers.json in this folder is how servers get out of a lost quorum.

While the servers that are left can elect a leader, it is not needed: remove a lost one with
"curia operator raft remove-peer". When they cannot, stop all that are left, write the same
peers.json on each of them, and start them:

[
  { "id": "<node id, the content of node-id in data_dir>", "address": "10.0.0.1:8300", "non_voter": false }
]

At its start a server takes this list as the members of the cluster, applies all that its log holds,
also what was perhaps never acknowledged, and deletes the file. Any other server that was a member
has to be stopped for good, or joins again with an empty data_dir.

This file, peers.info, only says so; a peers.json from before it existed is not used.
`;

const READ_ENTRIES = 1_000;
const READ_BYTES = 4 * 1024 * 1024;

/** Before all else of a start. Throws, and leaves everything as it is, when the file is no good. */
export async function recoverByPeersFile(folder: string, log: BusLog): Promise<void> {
  const infoFile = join(folder, "peers.info");
  const peersFile = join(folder, "peers.json");
  if (!existsSync(infoFile)) {
    if (existsSync(peersFile)) log.warn({ peersFile }, "not used at the first start: deleted");
    rmSync(peersFile, { force: true });
    writeSynced(infoFile, infoText, 0o640);
    return;
  }
  if (!existsSync(peersFile)) return;
  const text = readFileSync(peersFile, "utf8");
  const files = StateFiles.open(folder);
  try {
    await replay(folder, files);
    const { index, indexBase } = files.applied();
    if (index === 0) {
      throw new Error(`Expected a state that ${peersFile} can recover but there is none`);
    }
    const servers = parsePeers(text, peersFile, serversOf(files.applied()));
    files.current.recover(encodeConfiguration(servers));
    if (files.current.checkpoint() !== index + 1) {
      throw new Error("Expected a checkpoint with nobody else at the state");
    }
    for (const suffix of ["", "-wal", "-shm"]) {
      rmSync(join(folder, `log.db${suffix}`), { force: true });
    }
    rmSync(peersFile);
    const members = servers.map(({ id }) => id);
    log.warn({ index: index + 1, indexBase, members }, "cluster recovered by peers.json");
  } finally {
    files.close();
  }
}

/** Applies what the log has beyond the state. */
async function replay(folder: string, files: StateFiles): Promise<void> {
  const worker = new SnapshotLink();
  const builder = new RestoreBuilder(folder, files, worker);
  const logStore = new LogStore(join(folder, "log.db"));
  try {
    const { lastIndex } = logStore.open();
    for (let next = files.applied().index + 1; next <= lastIndex;) {
      const entries = logStore.read(next, READ_ENTRIES, READ_BYTES);
      if (entries.length === 0) throw new Error(`Expected entry ${next} in log.db but found none`);
      for (const entry of entries) await applyOne(entry, files, builder);
      next += entries.length;
    }
  } finally {
    logStore.close();
    worker.stop();
  }
}

async function applyOne(entry: Entry, files: StateFiles, builder: RestoreBuilder): Promise<void> {
  if (restoreMarkOf(entry) !== undefined) {
    const made = await builder.build(files.current, entry);
    if (made.kind === "built") return builder.install(made, entry);
  }
  files.current.apply([entry]);
}

function serversOf({ configuration, configurationIndex }: Applied): readonly Server[] {
  return configuration.length === 0
    ? []
    : decodeConfiguration(configurationIndex, configuration).servers;
}

/** The servers of a file in either of Consul's forms; of the old one, addresses alone, the ids are
 *  those of the members so far. */
export function parsePeers(
  text: string,
  file: string,
  known: readonly Server[],
): readonly Server[] {
  let peers: unknown;
  try {
    peers = JSON.parse(text);
  } catch (error) {
    throw new Error(`Expected JSON in ${file}: ${(error as Error).message}`, { cause: error });
  }
  if (!Array.isArray(peers)) throw new Error(`Expected a list of servers in ${file}`);
  const servers = checkedServers(peers.map((peer) => serverOf(peer, file, known)));
  if (typeof servers === "string") throw new Error(`${file}: ${servers}`);
  return servers;
}

function serverOf(peer: unknown, file: string, known: readonly Server[]): Server {
  if (typeof peer === "string") {
    const member = known.find(({ address }) => address === peer);
    if (member !== undefined) return { ...member, suffrage: "voter" };
    throw new Error(`${file}: ${peer} was no member, so expected { "id": …, "address": … }`);
  }
  const { id, address, non_voter: isNonVoter } = (peer ?? {}) as Record<string, unknown>;
  if (typeof id !== "string" || typeof address !== "string") {
    throw new Error(`${file}: expected an id and an address but found ${JSON.stringify(peer)}`);
  }
  return { id, address, suffrage: isNonVoter === true ? "nonvoter" : "voter" };
}
