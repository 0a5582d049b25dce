// TCP check: passes when the connection (with TLS: its handshake) stands.

import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { CheckDefinition } from "#shared/config/definitions.ts";
import { dialErrorText, splitHostPort, timeoutText } from "./dial-error.ts";
import { critical, passing, type Probe, tlsOptions } from "./probe.ts";

export const probeTcp: Probe = (check, context) => {
  const address = check.tcp;
  const target = splitHostPort(address);
  if (typeof target === "string") return Promise.resolve(critical(`dial tcp: ${target}`));
  return new Promise((resolve) => {
    const socket = check.tcpUseTls
      ? connectTls({ ...target, ...tlsOptions(check, target.host, context.tls) })
      : connectPlain(target);
    const finish = (result: ReturnType<typeof passing> | null) => {
      clearTimeout(timer);
      context.signal.removeEventListener("abort", abort);
      close(socket);
      resolve(result);
    };
    const abort = () => finish(null);
    const timer = setTimeout(
      () => finish(critical(timeoutText("tcp", address))),
      context.timeoutMs,
    );
    context.signal.addEventListener("abort", abort);
    socket.once(check.tcpUseTls ? "secureConnect" : "connect", () => {
      finish(passing(`${label(check)} connect ${address}: Success`));
    });
    socket.once("error", (error) => finish(critical(dialErrorText("tcp", address, error))));
  });
};

function label(check: CheckDefinition): string {
  return check.tcpUseTls ? "TCP+TLS" : "TCP";
}

function close(socket: Socket): void {
  // An error that comes after the verdict is nobody's.
  socket.on("error", () => {});
  socket.destroy();
}
