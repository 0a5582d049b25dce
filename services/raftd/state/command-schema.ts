// Every field that a command can have, as this release knows them, and which kind a command is of by
// having it. A test holds this against proto/*.proto. Source: the rule that a command is proposed
// only when every server knows it.

/** What servers announce: a number that is never used again, and its name. Those up to 11 are the
 *  fields of Command in the first release, which every server knows without saying so. */
export const commandKinds: ReadonlyMap<number, string> = new Map([
  [1, "kv"],
  [2, "register"],
  [3, "deregister"],
  [4, "session"],
  [5, "txn"],
  [6, "coordinates"],
  [7, "document"],
  [8, "reap_tombstones"],
  [9, "batch"],
  [10, "expire_clients"],
  [11, "restore"],
]);
export const firstReleaseKinds = 11;

/** A field or verb that came later than its message is a kind of its own, from 64 on: servers of the
 *  release before would drop the field. `KvCommand.7` is a field, `KvVerb 13` a verb. */
export const laterParts: Readonly<Record<string, number>> = {};

export interface MessageForm {
  /** Numbers of the fields begin at 1 and have no gap. */
  readonly fieldCount: number;
  /** Fields that are messages or verbs. */
  readonly types: Readonly<Record<number, string>>;
  /** Apply cannot do without them. */
  readonly required: readonly number[];
}

/** How many verbs there are; the first is 0. */
export const verbCounts: Readonly<Record<string, number>> = {
  KvVerb: 13,
  CatalogVerb: 5,
  DocumentVerb: 4,
};

function form(
  fieldCount: number,
  types: Record<number, string> = {},
  required: readonly number[] = [],
): MessageForm {
  return { fieldCount, types, required };
}

export const messageForms: Readonly<Record<string, MessageForm>> = {
  Command: form(11, {
    1: "KvCommand",
    2: "RegisterCommand",
    3: "DeregisterCommand",
    4: "SessionCommand",
    5: "TxnCommand",
    6: "CoordinatesCommand",
    7: "DocumentCommand",
    8: "ReapTombstonesCommand",
    9: "BatchCommand",
    10: "ExpireClientsCommand",
    11: "RestoreCommand",
  }),
  KvCommand: form(6, { 1: "KvVerb" }),
  RegisterCommand: form(4, { 1: "Node", 2: "Service", 3: "Check" }),
  DeregisterCommand: form(4),
  SessionCommand: form(3, { 1: "Session" }),
  TxnCommand: form(1, { 1: "TxnOperation" }),
  TxnOperation: form(5, {
    1: "KvCommand",
    2: "NodeOperation",
    3: "ServiceOperation",
    4: "CheckOperation",
  }),
  NodeOperation: form(2, { 1: "CatalogVerb", 2: "Node" }, [2]),
  ServiceOperation: form(3, { 1: "CatalogVerb", 3: "Service" }, [3]),
  CheckOperation: form(2, { 1: "CatalogVerb", 2: "Check" }, [2]),
  CoordinatesCommand: form(1, { 1: "Coordinate" }),
  DocumentCommand: form(3, { 1: "DocumentVerb", 2: "Document" }, [2]),
  ReapTombstonesCommand: form(1),
  BatchCommand: form(1, { 1: "Command" }),
  ExpireClientsCommand: form(1),
  RestoreCommand: form(3),
  Node: form(12, { 5: "TextEntry", 6: "TextEntry" }),
  Service: form(20, { 8: "AddressEntry", 9: "TextEntry", 10: "Weights" }),
  ServiceAddress: form(2),
  Weights: form(2),
  Check: form(17),
  Session: form(12, { 8: "SessionServiceCheck" }),
  SessionServiceCheck: form(2),
  Coordinate: form(6),
  Document: form(6),
  // Entries of maps.
  TextEntry: form(2),
  AddressEntry: form(2, { 2: "ServiceAddress" }),
};
