// What the command that is being applied has changed so far, so that it can be told or taken back.

import type {
  Check,
  Coordinate,
  Document,
  KvEntry,
  Node,
  Service,
  Session,
} from "#proto/messages.js";

/** A changed row, in the form of the change stream; of a deleted one the keys are set. */
export type StateChange =
  | { readonly deleted: boolean; readonly kind: "node"; readonly node: Node }
  | { readonly deleted: boolean; readonly kind: "service"; readonly service: Service }
  | { readonly deleted: boolean; readonly kind: "check"; readonly check: Check }
  | { readonly deleted: boolean; readonly kind: "kv"; readonly kv: KvEntry }
  | { readonly deleted: boolean; readonly kind: "session"; readonly session: Session }
  | { readonly deleted: boolean; readonly kind: "document"; readonly document: Document }
  | { readonly deleted: boolean; readonly kind: "coordinate"; readonly coordinate: Coordinate };
