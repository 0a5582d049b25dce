// gRPC and HTTP/2 ping checks over one kind of session (gRPC health checking protocol v1).

import { type ClientHttp2Session, connect } from "node:http2";
import type { ProbeResult } from "../../core/schedule.ts";
import { dialErrorText, splitHostPort } from "./dial-error.ts";
import { critical, passing, type Probe, type ProbeContext, tlsOptions } from "./probe.ts";
import type { CheckDefinition } from "#shared/config/definitions.ts";

const servingStatus = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const codeNames = [
  ...["OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound"],
  ...["AlreadyExists", "PermissionDenied", "ResourceExhausted", "FailedPrecondition", "Aborted"],
  ...["OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated"],
];

export const probeGrpc: Probe = async (check, context) => {
  const slash = check.grpc.indexOf("/");
  const address = slash < 0 ? check.grpc : check.grpc.slice(0, slash);
  const service = slash < 0 ? "" : check.grpc.slice(slash + 1);
  const target = splitHostPort(address);
  if (typeof target === "string") return critical(rpcError("Unavailable", `dial tcp: ${target}`));
  const session = new Session(check, address, check.grpcUseTls, context);
  return await session.run(
    (client, resolve) => askHealth(client, address, service, check.grpc, resolve),
    (error) =>
      critical(rpcError(
        "Unavailable",
        `connection error: desc = "transport: Error while dialing: ${error}"`,
      )),
    () => critical(rpcError("DeadlineExceeded", "context deadline exceeded")),
  );
};

export const probeH2ping: Probe = async (check, context) => {
  const address = check.h2ping;
  const target = splitHostPort(address);
  const failed = (error: string) => critical(`Failed to dial to ${address}: ${error}`);
  if (typeof target === "string") return failed(`dial tcp: ${target}`);
  const session = new Session(check, address, check.h2pingUseTls, context);
  return await session.run(
    (client, resolve) => {
      client.ping((error) => {
        resolve(
          error === null
            ? passing("HTTP2 ping was successful")
            : critical(`HTTP2 ping failed: ${error.message}`),
        );
      });
    },
    failed,
    () => critical("HTTP2 ping failed: context deadline exceeded"),
  );
};

/** One connection for one question. */
class Session {
  readonly #client: ClientHttp2Session;
  readonly #address: string;
  readonly #context: ProbeContext;

  constructor(check: CheckDefinition, address: string, isTls: boolean, context: ProbeContext) {
    this.#address = address;
    this.#context = context;
    const host = address.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
    this.#client = isTls
      ? connect(`https://${address}`, {
        ALPNProtocols: ["h2"],
        ...tlsOptions(check, host, context.tls),
      })
      : connect(`http://${address}`);
  }

  run(
    ask: (client: ClientHttp2Session, resolve: (result: ProbeResult) => void) => void,
    onDialError: (text: string) => ProbeResult,
    onTimeout: () => ProbeResult,
  ): Promise<ProbeResult | null> {
    const client = this.#client;
    const { signal, timeoutMs } = this.#context;
    return new Promise((resolve) => {
      const finish = (result: ProbeResult | null) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        client.destroy();
        resolve(result);
      };
      const abort = () => finish(null);
      const timer = setTimeout(() => finish(onTimeout()), timeoutMs);
      signal.addEventListener("abort", abort);
      client.on("error", (error: Error) => {
        finish(onDialError(dialErrorText("tcp", this.#address, error)));
      });
      // The peer's settings frame proves that it speaks HTTP/2.
      client.once("remoteSettings", () => ask(client, finish));
      client.once("close", () => finish(onDialError("connection closed")));
    });
  }
}

function askHealth(
  client: ClientHttp2Session,
  authority: string,
  service: string,
  target: string,
  resolve: (result: ProbeResult) => void,
): void {
  const stream = client.request({
    ":method": "POST",
    ":path": "/grpc.health.v1.Health/Check",
    ":authority": authority,
    "content-type": "application/grpc",
    "te": "trailers",
    "user-agent": "Consul Health Check",
  });
  const chunks: Uint8Array[] = [];
  let headers: Record<string, unknown> = {};
  let trailers: Record<string, unknown> = {};
  stream.on("response", (received) => headers = received);
  stream.on("trailers", (received) => trailers = received);
  stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  stream.on("error", (error: Error) => resolve(critical(rpcError("Unavailable", error.message))));
  stream.on("end", () => {
    // An answer without a message has its status in the headers.
    const end = trailers["grpc-status"] === undefined ? headers : trailers;
    resolve(healthOf(target, headers, end, Buffer.concat(chunks)));
  });
  stream.end(healthRequest(service));
}

function healthOf(
  target: string,
  headers: Record<string, unknown>,
  end: Record<string, unknown>,
  body: Uint8Array,
): ProbeResult {
  if (headers[":status"] !== 200) {
    const text = `unexpected HTTP status code received from server: ${headers[":status"]}`;
    return critical(rpcError("Unavailable", text));
  }
  const code = Number(end["grpc-status"] ?? 2);
  if (code !== 0) {
    const message = decodeURIComponent(String(end["grpc-message"] ?? ""));
    return critical(rpcError(codeNames[code] ?? `Code(${code})`, message));
  }
  // Length-prefixed message: 1 byte flags, 4 bytes length; field 1 is the status.
  const status = body.length >= 7 && body[5] === 0x08 ? body[6]! : 0;
  if (status === 1) return passing(`gRPC check ${target}: success`);
  const name = servingStatus[status] ?? String(status);
  return critical(`gRPC ${target} serving status: ${name}`);
}

function healthRequest(service: string): Uint8Array {
  const name = Buffer.from(service);
  const length = name.length === 0 ? [] : [0x0a, ...varint(name.length), ...name];
  const frame = Buffer.alloc(5 + length.length);
  frame.writeUInt32BE(length.length, 1);
  frame.set(length, 5);
  return frame;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [value & 0x7f | 0x80, ...varint(value >>> 7)];
}

function rpcError(code: string, text: string): string {
  return `rpc error: code = ${code} desc = ${text}`;
}
