// The closed list of errors that cross the bus as they are. Only apid turns a code into an HTTP
// status and Consul's text; only the CLI turns it into an exit status.

/** Codes are stable numbers on the wire (proto/envelope.proto): add at the end, never reuse. */
export const errorCodes = {
  /** The caller's arguments are wrong; the message says what was expected and what came. */
  "invalid-argument": 1,
  /** The thing asked for does not exist. */
  "not-found": 2,
  /** The caller's token lacks a permission, or this caller class may not use the method. */
  "permission-denied": 3,
  /** No leader is known, or it was lost before the request was taken up: safe to try again. */
  "no-leader": 4,
  /** The write may or may not have been applied, and cannot be told any more. */
  "outcome-unknown": 5,
  /** The deadline passed. */
  "deadline-exceeded": 6,
  /** The caller gave up. */
  "cancelled": 7,
  /** A queue or limit is full: try again later. */
  "overloaded": 8,
  /** The callee cannot be reached or is going away: safe to try again. */
  "unavailable": 9,
  /** The callee does not know this method or daemon. */
  "unimplemented": 10,
  /** The disk is full, so writes are refused. */
  "disk-full": 11,
  /** The state forbids it (a check failed, an apply was refused); the message is Consul's text. */
  "failed-precondition": 12,
  /** A bug or a broken disk on the callee's side. */
  "internal": 13,
  /** No way to the named datacenter. */
  "no-path-to-datacenter": 14,
  /** A client node sees no server. */
  "no-servers": 15,
  /** Leader, but not yet able to answer consistent reads. */
  "not-ready": 16,
} as const;

export type ErrorCode = keyof typeof errorCodes;

const codeNames = new Map<number, ErrorCode>(
  Object.entries(errorCodes).map(([name, number]) => [number, name as ErrorCode]),
);

/** The name of a code from the wire; a code from a newer release reads as `internal`. */
export function errorCodeName(number: number): ErrorCode {
  return codeNames.get(number) ?? "internal";
}

/** A refusal that the world can cause. */
export class CuriaError extends Error {
  override name = "CuriaError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Any thrown value as a CuriaError; what is not one becomes `internal`. */
export function toCuriaError(error: unknown): CuriaError {
  if (error instanceof CuriaError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new CuriaError("internal", message, { cause: error });
}
