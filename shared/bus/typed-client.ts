// Methods of a service as typed functions, over calls that know only a method and a context.

import type { ContextInput } from "#proto/messages.js";
import type { CuriaError } from "../errors.ts";
import { deadlineOf, outgoingContext, unaryTimeoutMs } from "./context.ts";
import type { StreamCall, UnaryCall, UploadCall } from "./outgoing.ts";
import type { CallOptions, Client, Method, Service } from "./types.ts";

export interface RawCaller {
  unaryCall(
    method: Method,
    message: unknown,
    context: ContextInput,
    deadlineMs: number,
    resolve: (message: unknown) => void,
    reject: (error: CuriaError) => void,
    signal?: AbortSignal,
  ): UnaryCall;
  serverStream(
    method: Method,
    message: unknown,
    context: ContextInput,
    deadlineMs: number,
    signal?: AbortSignal,
  ): StreamCall;
  clientStream(
    method: Method,
    context: ContextInput,
    deadlineMs: number,
    signal?: AbortSignal,
  ): UploadCall;
}

export function makeClient<S extends Service>(service: S, caller: RawCaller): Client<S> {
  const methods = Object.entries(service.methods).map(([key, method]) => [
    key,
    methodOf(method, caller),
  ]);
  return Object.fromEntries(methods) as Client<S>;
}

function methodOf(method: Method, caller: RawCaller): unknown {
  const deadline = (options: CallOptions | undefined, defaultMs: number) =>
    deadlineOf(options, defaultMs, performance.now());
  switch (method.kind) {
    case "unary":
      return (message: unknown, options?: CallOptions) =>
        new Promise((resolve, reject) => {
          caller.unaryCall(
            method,
            message,
            outgoingContext(options),
            deadline(options, unaryTimeoutMs),
            resolve,
            reject,
            options?.signal,
          );
        });
    case "server-stream":
      return (message: unknown, options?: CallOptions) =>
        caller.serverStream(
          method,
          message,
          outgoingContext(options),
          deadline(options, 0),
          options?.signal,
        ).reader;
    case "client-stream":
      return (options?: CallOptions) =>
        caller.clientStream(
          method,
          outgoingContext(options),
          deadline(options, 0),
          options?.signal,
        ).stream;
  }
}
