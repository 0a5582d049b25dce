// The part of the node's configuration that apid uses: http_config, ports.http(s), addresses, limits,
// ui_config, telemetry; unix_sockets for listeners on a path.

import { existsSync, readFileSync } from "node:fs";
import type { EffectiveConfig } from "#shared/config/types.ts";
import type { ListenAddress } from "./io/listen-address.ts";

export interface ListenAt {
  address: ListenAddress;
  tls?: Bun.TLSOptions;
}

export function listenersOf(config: EffectiveConfig): ListenAt[] {
  const at = (addresses: readonly string[], port: number, tls?: Bun.TLSOptions): ListenAt[] =>
    port <= 0 ? [] : addresses.map((address) => ({
      address: address.startsWith("unix://")
        ? { unix: address.slice("unix://".length), ...socketMode(config) }
        : { host: address, port },
      ...(tls === undefined ? {} : { tls }),
    }));
  const { addresses, ports } = config;
  const tls = ports.https > 0 ? tlsOf(config) : undefined;
  return [
    ...at(addresses.http, ports.http),
    ...(tls === undefined ? [] : at(addresses.https, ports.https, tls)),
  ];
}

/** Undefined while there is no certificate to serve HTTPS with. */
function tlsOf(config: EffectiveConfig): Bun.TLSOptions | undefined {
  const { certFile, keyFile, caFile, verifyIncoming } = config.tls.https;
  if (!existsSync(certFile) || !existsSync(keyFile)) return undefined;
  return {
    cert: readFileSync(certFile),
    key: readFileSync(keyFile),
    ...(caFile === "" ? {} : { ca: readFileSync(caFile) }),
    requestCert: verifyIncoming,
    rejectUnauthorized: verifyIncoming,
  };
}

/** `unix_sockets.mode`, octal. */
function socketMode({ unixSockets }: EffectiveConfig): { mode?: number } {
  return /^[0-7]{3,4}$/.test(unixSockets.mode) ? { mode: parseInt(unixSockets.mode, 8) } : {};
}
