// Which commands may be proposed: those that every server of the cluster knows. One that a server
// does not know would stop it.

import { CuriaError } from "#shared/errors.ts";
import type { Configuration, ServerId } from "../core/raft/messages.ts";
import {
  type CommandFault,
  commandFault,
  faultText,
  isAnnounced,
  kindName,
} from "../state/command-kinds.ts";
import { commandKinds, firstReleaseKinds } from "../state/command-schema.ts";

/** What gossip says of servers. */
export interface Announcements {
  /** Another number whenever something changed. */
  readonly version: number;
  /** Those that are there, whether they belong to the configuration yet or not. */
  servers(): readonly { readonly id: ServerId }[];
  /** As it travels in the server's tag. */
  kindsOf(id: ServerId): string | undefined;
  nodeName(id: ServerId): string;
}

export class KindGate {
  /** Kinds that some servers do not announce, and which. */
  #missing = new Map<number, string[]>();
  readonly #self: ServerId;
  readonly #announcements: Announcements;
  #version = -1;
  #configurationIndex = -1;

  constructor(self: ServerId, announcements: Announcements) {
    this.#self = self;
    this.#announcements = announcements;
  }

  /** Why the command must not be proposed; undefined: it may. */
  refusal(command: Uint8Array, configuration: Configuration): CuriaError | undefined {
    const { version } = this.#announcements;
    if (version !== this.#version || configuration.index !== this.#configurationIndex) {
      this.#version = version;
      this.#configurationIndex = configuration.index;
      this.#missing = this.#missingOf(configuration);
    }
    const fault = commandFault(command, this.#isAllowed);
    return fault && this.#refusalOf(fault);
  }

  #missingOf({ servers }: Configuration): Map<number, string[]> {
    const missing = new Map<number, string[]>();
    const ids = new Set([...servers, ...this.#announcements.servers()].map(({ id }) => id));
    ids.delete(this.#self);
    for (const kind of commandKinds.keys()) {
      if (kind <= firstReleaseKinds) continue;
      const behind = [...ids].filter((id) => !isAnnounced(kind, this.#announcements.kindsOf(id)));
      const names = behind.map((id) => this.#announcements.nodeName(id) || id);
      if (names.length > 0) missing.set(kind, names.sort());
    }
    return missing;
  }

  readonly #isAllowed = (kind: number) => !this.#missing.has(kind);

  #refusalOf(fault: CommandFault): CuriaError {
    if (fault.kind !== "barred") {
      return new CuriaError("invalid-argument", `Expected a command but got ${faultText(fault)}`);
    }
    const names = this.#missing.get(fault.number)!.join(", ");
    return new CuriaError(
      "failed-precondition",
      `Commands of kind "${kindName(fault.number)}" are refused until every server knows them: ` +
        `${names} must be upgraded first`,
    );
  }
}
