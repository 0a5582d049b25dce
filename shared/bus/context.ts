// What every call carries: how an outgoing context is made, how one is passed on, whom to trust.

import { Context, type ContextInput } from "#proto/messages.js";
import { CuriaError } from "../errors.ts";
import { type CallContext, type CallerClass, callerClasses, type CallOptions } from "./types.ts";

export const unaryTimeoutMs = 10_000;
/** How many daemons may pass a call on: client node, its server, a server elsewhere, its daemon. */
export const hopsMax = 5;

/** The context of a call that starts here; its `timeoutMs` is set when the frame is written. */
export function outgoingContext(options: CallOptions | undefined): ContextInput {
  if (options === undefined) return {};
  const { on, context } = options;
  return {
    token: options.token ?? on?.context.token,
    datacenter: options.datacenter,
    target: options.target,
    daemon: options.daemon,
    partition: options.partition ?? on?.context.partition,
    namespace: options.namespace ?? on?.context.namespace,
    consistency: options.consistency ?? on?.context.consistency,
    trace: options.trace ?? on?.context.trace,
    ...context,
  };
}

/** Monotonic time when the caller gives up. `defaultMs` 0: never. */
export function deadlineOf(
  options: CallOptions | undefined,
  defaultMs: number,
  nowMs: number,
): number {
  const timeoutMs = options?.timeoutMs ?? options?.context?.timeoutMs ?? undefined;
  const own = timeoutMs ?? (options?.on ? 0 : defaultMs);
  const deadlineMs = own > 0 ? nowMs + own : Infinity;
  return options?.on ? Math.min(deadlineMs, options.on.deadlineMs) : deadlineMs;
}

export function encodeTimeout(deadlineMs: number, nowMs: number): number {
  return deadlineMs === Infinity ? 0 : Math.max(1, Math.ceil(deadlineMs - nowMs));
}

const emptyContext: CallContext = Object.freeze(Context.create());

export function readContext(buffer: Uint8Array, start: number, end: number): CallContext {
  return start === end ? emptyContext : Context.decode(buffer.subarray(start, end));
}

/** A context may lower the trust that its connection deserves, never raise it. */
export function lessTrusted(connection: CallerClass, claimed: string): CallerClass {
  const index = callerClasses.indexOf(claimed as CallerClass);
  if (index < 0) return claimed === "" ? connection : "remote";
  return callerClasses[Math.max(index, callerClasses.indexOf(connection))]!;
}

/** The context with which a call is handed to the next daemon. Throws when it goes in circles. */
export function passedOn(context: CallContext, caller: CallerClass): ContextInput {
  const hops = context.hops === 0 ? hopsMax : context.hops;
  if (hops <= 1) {
    throw new CuriaError("internal", "The call was passed on too often: daemons route in a circle");
  }
  return { ...context, hops: hops - 1, caller };
}
