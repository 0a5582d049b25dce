// UDP check: one empty datagram; an ICMP refusal is critical, an answer or silence passes. (Consul's
// own code never ends on silence; what it documents is that silence passes.)

import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";
import type { ProbeResult } from "../../core/schedule.ts";
import { dialErrorText, splitHostPort } from "./dial-error.ts";
import { critical, passing, type Probe } from "./probe.ts";

export const probeUdp: Probe = async (check, context) => {
  const address = check.udp;
  const target = splitHostPort(address);
  if (typeof target === "string") return critical(`dial udp: ${target}`);
  const found = await lookup(target.host).catch((error: unknown) => error as Error);
  if (found instanceof Error) return critical(dialErrorText("udp", address, found));
  return await new Promise<ProbeResult | null>((resolve) => {
    const socket = createSocket(found.family === 6 ? "udp6" : "udp4");
    const success = passing(`UDP connect ${address}: Success`);
    let isDone = false;
    const finish = (result: ProbeResult | null) => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      context.signal.removeEventListener("abort", abort);
      socket.close();
      resolve(result);
    };
    const abort = () => finish(null);
    const timer = setTimeout(() => finish(success), context.timeoutMs);
    context.signal.addEventListener("abort", abort);
    socket.on("error", (error) => finish(critical(dialErrorText("udp", address, error))));
    socket.once("message", () => finish(success));
    socket.connect(target.port, found.address, () => {
      if (!isDone) socket.send(new Uint8Array(0));
    });
  });
};
