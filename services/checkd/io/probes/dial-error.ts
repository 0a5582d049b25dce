// Network errors in the words in which Consul's clients and operators know them (Go's).

interface SystemError extends Error {
  code?: string;
  syscall?: string;
  address?: string;
  port?: number;
  hostname?: string;
}

export interface HostPort {
  host: string;
  port: number;
}

/** Splits `host:port` or `[v6]:port`; a text says what is wrong. */
export function splitHostPort(address: string): HostPort | string {
  const bracketed = /^\[([^\]]*)\]:(\w*)$/.exec(address);
  const plain = /^([^:]*):(\w*)$/.exec(address);
  const [, host, port] = bracketed ?? plain ?? [];
  if (host === undefined || port === undefined) {
    const reason = address.includes(":") ? "too many colons in address" : "missing port in address";
    return `address ${address}: ${reason}`;
  }
  const number = Number(port);
  if (!Number.isInteger(number) || number < 0 || number > 65535 || port === "") {
    return `address ${address}: invalid port`;
  }
  return { host: host === "" ? "localhost" : host, port: number };
}

const reasons: Record<string, string> = {
  ECONNREFUSED: "connection refused",
  EHOSTUNREACH: "no route to host",
  ENETUNREACH: "network is unreachable",
  ECONNRESET: "connection reset by peer",
  EADDRNOTAVAIL: "cannot assign requested address",
  EACCES: "permission denied",
  EPIPE: "broken pipe",
};

/** `dial tcp 127.0.0.1:1: connect: connection refused` and the like. */
export function dialErrorText(network: string, address: string, error: unknown): string {
  const { code, syscall, hostname, message } = error as SystemError;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN" || syscall === "getaddrinfo") {
    const name = hostname ?? address.replace(/:\d+$/, "");
    return `dial ${network}: lookup ${name}: no such host`;
  }
  const reason = reasons[code ?? ""];
  if (reason === undefined) return `dial ${network} ${address}: ${message}`;
  // A connected UDP socket learns of the refusal when it reads.
  const [verb, call] = network === "udp" ? ["read", "read"] : ["dial", "connect"];
  return `${verb} ${network} ${address}: ${call}: ${reason}`;
}

export function timeoutText(network: string, address: string): string {
  return `dial ${network} ${address}: i/o timeout`;
}
