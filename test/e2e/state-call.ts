// A command handed to a node's state by itself, past the HTTP API.

import { join } from "node:path";
import type { Codec, ContextInput, Outcome } from "#proto/messages.js";
import { Command } from "#proto/messages.js";
import { State } from "#proto/services.ts";
import { BusClient } from "#shared/bus/client.ts";
import type { TestNode } from "./node.ts";

export interface ApplyOptions {
  /** Who to credit it to; otherwise a client of its own. */
  context?: ContextInput;
  /** How another release encodes a command. */
  codec?: Codec<never, unknown>;
  timeoutMs?: number;
}

/** Settles with the outcome or rejects with the refusal. */
export async function apply(
  node: TestNode,
  command: unknown,
  { context = {}, codec = Command as Codec<never, unknown>, timeoutMs = 10_000 }: ApplyOptions = {},
): Promise<Outcome> {
  const client = new BusClient({
    addresses: [{ path: join(node.runDir, "state.sock") }],
    daemon: "raftd",
    identity: { daemon: "test", release: "test", nodeId: "", node: node.name, datacenter: "dc1" },
  });
  const method = { ...State.methods.apply, request: codec };
  try {
    return await new Promise<Outcome>((resolve, reject) => {
      const deadlineMs = performance.now() + timeoutMs;
      const take = (outcome: unknown) => resolve(outcome as Outcome);
      client.unaryCall(method, command, context, deadlineMs, take, reject);
    });
  } finally {
    client.close();
  }
}
