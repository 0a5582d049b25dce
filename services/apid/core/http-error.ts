// What a refusal looks like to an HTTP client: the one place where a code becomes a status and
// Consul's text (spec: http-api 1.5).

import { CuriaError, type ErrorCode } from "#shared/errors.ts";

/** A handler's refusal: status, text, and header lines that go with it. */
export class HttpError extends Error {
  override name = "HttpError";
  readonly status: number;
  readonly headers: string;

  constructor(status: number, text: string, headers = "") {
    super(text);
    this.status = status;
    this.headers = headers;
  }
}

const statuses: Record<ErrorCode, number> = {
  "invalid-argument": 400,
  "not-found": 404,
  "permission-denied": 403,
  "no-leader": 500,
  "outcome-unknown": 500,
  "deadline-exceeded": 500,
  "cancelled": 500,
  "overloaded": 429,
  "unavailable": 500,
  "unimplemented": 501,
  "disk-full": 500,
  "failed-precondition": 500,
  "internal": 500,
  "no-path-to-datacenter": 500,
  "no-servers": 500,
  "not-ready": 500,
};

/** Texts that clients match on, whatever the refusing daemon wrote. */
const texts: Partial<Record<ErrorCode, string>> = {
  "no-leader": "No cluster leader",
  "no-path-to-datacenter": "No path to datacenter",
  "no-servers": "No known Consul servers",
  "not-ready": "Not ready to serve consistent reads",
};

export interface Refusal {
  status: number;
  text: string;
  headers: string;
}

export function toRefusal(error: unknown): Refusal {
  if (error instanceof HttpError) {
    return {
      status: permission(error.message) ? 403 : error.status,
      text: error.message,
      headers: error.headers,
    };
  }
  if (error instanceof CuriaError) {
    const text = texts[error.code] ?? error.message;
    return { status: permission(text) ? 403 : statuses[error.code], text, headers: "" };
  }
  const text = error instanceof Error ? error.message : String(error);
  return { status: permission(text) ? 403 : 500, text, headers: "" };
}

function permission(text: string): boolean {
  return text.includes("Permission denied") || text.includes("ACL not found");
}
