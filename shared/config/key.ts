// What a row of the key table says; the rows themselves are in keys/.

export const daemonNames = [
  "raftd",
  "relayd",
  "gossipd",
  "checkd",
  "dnsd",
  "apid",
  "cad",
  "xdsd",
] as const;
export type DaemonName = (typeof daemonNames)[number];
/** Who acts on a key; `agent` is the supervisor. */
export type KeyUser = DaemonName | "agent";

export type KeyType =
  | "string"
  | "bool"
  | "int"
  | "uint"
  | "float"
  /** A Go duration as text. */
  | "duration"
  | "strings"
  /** Text to text. */
  | "map"
  /** Text to a list of texts (a single text counts as a list of one). */
  | "lists"
  /** Text to duration text. */
  | "durations"
  /** Text to whole number. */
  | "ints"
  /** Any object, keys unchecked. */
  | "any"
  /** Objects with keys unchecked. */
  | "anys"
  /** Objects with the rows of `fields`. */
  | "objects"
  /** One object with the rows of `fields`. */
  | "object";

export interface Key {
  /** Dotted, from the top of its table. */
  path: string;
  type: KeyType;
  /** null = computed elsewhere or unset. */
  initial: unknown;
  /** Nobody = accepted, and named in a notice that it is not yet served. */
  usedBy: readonly KeyUser[];
  isReloadable: boolean;
  /** Command-line flag, without its dash. */
  flag: string;
  help: string;
  fields: readonly Key[];
}

interface KeyOptions {
  reload?: boolean;
  flag?: string;
  help?: string;
  fields?: readonly Key[];
}

/** One row. */
export function key(
  path: string,
  type: KeyType,
  initial: unknown,
  usedBy: readonly KeyUser[],
  { reload = false, flag = "", help = "", fields = [] }: KeyOptions = {},
): Key {
  return { path, type, initial, usedBy, isReloadable: reload, flag, help, fields };
}

/** Rows below a common prefix. */
export function under(prefix: string, keys: readonly Key[]): Key[] {
  return keys.map((row) => ({ ...row, path: `${prefix}.${row.path}` }));
}

export const everyDaemon: readonly KeyUser[] = ["agent", ...daemonNames];
/** Accepted, not yet served. */
export const nobody: readonly KeyUser[] = [];
