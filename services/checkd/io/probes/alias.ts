// Alias of a service or node elsewhere: reads that node's checks from the state.

import type { BusClient } from "#shared/bus/client.ts";
import { aliasVerdict } from "../../core/alias.ts";
import { readNode } from "../catalog.ts";
import { checkRow } from "../rows.ts";
import type { Probe } from "./probe.ts";

export function aliasProbe(client: BusClient, token: string): Probe {
  return async (check, context) => {
    const { aliasNode: node, aliasService: serviceId } = check;
    try {
      const reply = await readNode(client, node, token, context.signal);
      const isKnown = reply.nodeServices.some((service) => service.id === serviceId);
      const target = { serviceId, node, ownCheckId: check.id || check.name };
      return { ...aliasVerdict(target, reply.checks.map(checkRow), isKnown), isFinal: true };
    } catch (error) {
      if (context.signal.aborted) return null;
      const output = `Failure checking aliased node or service: ${(error as Error).message}`;
      return { status: "critical", output, isFinal: false };
    }
  };
}
