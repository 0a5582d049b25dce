// The core's messages as bytes (raft.proto): every kind has a number, fields keep their names.

import { RaftMessage } from "#proto/messages.js";
import type { Configuration, Message, Proposal, Snapshot } from "../core/raft/messages.ts";
import { adoptEntry, encodeEntry } from "./entry-codec.ts";

const kinds = [
  "pre-vote",
  "pre-vote-answer",
  "vote",
  "vote-answer",
  "append",
  "append-answer",
  "heartbeat",
  "heartbeat-answer",
  "timeout-now",
  "snapshot-chunk",
  "snapshot-answer",
  "propose",
  "propose-answer",
  "read-index",
  "read-index-answer",
] as const satisfies readonly Message["kind"][];
const kindNumbers = new Map<string, number>(kinds.map((kind, number) => [kind, number]));

type Wire = ReturnType<typeof RaftMessage.decode>;

export function encodeMessage(message: Message): Uint8Array {
  const kind = kindNumbers.get(message.kind)!;
  switch (message.kind) {
    case "vote": {
      const { transfer, ...rest } = message;
      return RaftMessage.encode({ ...rest, kind, transferVote: transfer }).finish();
    }
    case "append": {
      const { entries, ...rest } = message;
      return RaftMessage.encode({ ...rest, kind, records: entries.map(encodeEntry) }).finish();
    }
    case "snapshot-chunk": {
      const { snapshot, ...rest } = message;
      return RaftMessage.encode({
        ...rest,
        kind,
        snapshotIndex: snapshot.index,
        snapshotTerm: snapshot.term,
        snapshotConfiguration: encodeConfiguration(snapshot.configuration),
      }).finish();
    }
    case "propose": {
      const { proposals, ...rest } = message;
      return RaftMessage.encode({ ...rest, kind, proposals: proposals.map(encodeProposal) })
        .finish();
    }
    default:
      return RaftMessage.encode({ ...message, kind }).finish();
  }
}

/** Throws on garbage and on a kind of a newer release. */
export function decodeMessage(bytes: Uint8Array): Message {
  const wire = RaftMessage.decode(bytes);
  const kind = kinds[wire.kind];
  switch (kind) {
    case "vote":
      return { ...wire, kind, transfer: wire.transferVote };
    case "append":
      return { ...appendFields(wire), kind };
    case "snapshot-chunk":
      return { ...wire, kind, snapshot: decodeSnapshot(wire) };
    case "propose":
      return { kind, batch: wire.batch, proposals: wire.proposals.map(decodeProposal) };
    case "propose-answer":
      return { ...wire, kind, refusal: wire.refusal as never };
    case "read-index-answer":
      return { ...wire, kind, refusal: wire.refusal as never };
    case "read-index":
      return {
        kind,
        batch: wire.batch,
        mode: wire.mode === "consistent" ? "consistent" : "default",
      };
    case undefined:
      throw new Error(`Expected a message kind below ${kinds.length} but found ${wire.kind}`);
    default:
      return { ...wire, kind } as Message;
  }
}

function appendFields(wire: Wire) {
  const { term, prevIndex, prevTerm, commitIndex, sentMs } = wire;
  return { term, prevIndex, prevTerm, commitIndex, sentMs, entries: wire.records.map(adoptEntry) };
}

function decodeSnapshot(wire: Wire): Snapshot {
  const configuration = wire.snapshotConfiguration;
  if (!configuration) throw new Error("Expected a snapshot with its configuration but it has none");
  return {
    index: wire.snapshotIndex,
    term: wire.snapshotTerm,
    configuration: decodeConfiguration(configuration),
  };
}

function encodeProposal(proposal: Proposal) {
  return { id: proposal.id, kind: proposal.kind === "barrier" ? 1 : 0, bytes: proposal.bytes };
}

function decodeProposal(wire: { id: number; kind: number; bytes: Uint8Array }): Proposal {
  return { id: wire.id, kind: wire.kind === 1 ? "barrier" : "command", bytes: wire.bytes };
}

export function encodeConfiguration(configuration: Configuration) {
  return {
    index: configuration.index,
    servers: configuration.servers.map((server) => ({
      id: server.id,
      address: server.address,
      voter: server.suffrage === "voter",
    })),
  };
}

export function decodeConfiguration(
  wire: { index: number; servers: { id: string; address: string; voter: boolean }[] },
): Configuration {
  return {
    index: wire.index,
    servers: wire.servers.map(({ id, address, voter }) => ({
      id,
      address,
      suffrage: voter ? "voter" : "nonvoter",
    })),
  };
}
