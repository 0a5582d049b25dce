// What the agent prints before its log.

import { buildDate, fullVersion } from "#shared/config/release.ts";
import type { TlsStanza } from "#shared/config/tls-types.ts";
import type { EffectiveConfig } from "#shared/config/types.ts";

const labelWidth = 22;

export function formatBanner(config: EffectiveConfig): string {
  const { addresses, node, ports, tls, acl, gossip } = config;
  const segment = config.server ? "<all>" : "";
  const rows: [label: string, value: string][] = [
    ["Version", `'${fullVersion}'`],
    ["Build Date", `'${buildDate}'`],
    ["Node ID", `'${node.id}'`],
    ["Node name", `'${node.name}'`],
    ["Datacenter", `'${node.datacenter}' (Segment: '${segment}')`],
    ["Server", `${config.server} (Bootstrap: ${config.bootstrap})`],
    [
      "Client Addr",
      `[${addresses.client.join(" ")}] (HTTP: ${ports.http}, HTTPS: ${ports.https}, ` +
      `gRPC: ${ports.grpc}, gRPC-TLS: ${ports.grpcTls}, DNS: ${ports.dns})`,
    ],
    ["Cluster Addr", `${addresses.advertise} (LAN: ${ports.serfLan}, WAN: ${ports.serfWan})`],
    ["Gossip Encryption", String(gossip.encrypt !== "")],
    ["Auto-Encrypt-TLS", String(tls.autoEncrypt.tls || tls.autoEncrypt.allowTls)],
    ["ACL Enabled", String(acl.enabled)],
    ["ACL Default Policy", acl.defaultPolicy],
    ["HTTPS TLS", tlsSummary(tls.https)],
    [
      "gRPC TLS",
      `Verify Incoming: ${tls.grpc.verifyIncoming}, Min Version: ${tls.grpc.minVersion}`,
    ],
    [
      "Internal RPC TLS",
      `Verify Incoming: ${tls.internalRpc.verifyIncoming}, Verify Outgoing: ` +
      `${tls.internalRpc.verifyOutgoing} (Verify Hostname: ` +
      `${tls.internalRpc.verifyServerHostname}), Min Version: ${tls.internalRpc.minVersion}`,
    ],
    ["Run directory", config.runDir],
  ];
  const lines = rows.map(([label, value]) => `${label.padStart(labelWidth)}: ${value}\n`);
  return `==> Starting Consul agent...\n${lines.join("")}\n` +
    "==> Log data will now stream in, as it occurs:\n\n";
}

function tlsSummary(stanza: TlsStanza): string {
  return `Verify Incoming: ${stanza.verifyIncoming}, Verify Outgoing: ${stanza.verifyOutgoing}, ` +
    `Min Version: ${stanza.minVersion}`;
}
