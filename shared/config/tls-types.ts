// TLS settings after the fallback from a specific stanza to tls.defaults.

export interface TlsStanza {
  caFile: string;
  caPath: string;
  certFile: string;
  keyFile: string;
  minVersion: string;
  cipherSuites: string[];
  verifyIncoming: boolean;
  verifyOutgoing: boolean;
}

export interface TlsConfig {
  internalRpc: TlsStanza & { verifyServerHostname: boolean };
  https: TlsStanza;
  grpc: TlsStanza & { useAutoCert: boolean };
  serverName: string;
  autoEncrypt: { tls: boolean; allowTls: boolean; dnsSan: string[]; ipSan: string[] };
}
