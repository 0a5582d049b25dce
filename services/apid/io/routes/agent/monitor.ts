// /v1/agent/monitor: the logs of this node's daemons as one text stream.

import { Control } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { HttpError } from "../../../core/http-error.ts";
import { logText } from "../../../core/render/log-text.ts";
import { type Call, type Handler, type Route, written } from "../../call.ts";

export interface MonitoredDaemons {
  /** By name: the sockets of all daemons of this node. */
  daemons: ReadonlyMap<string, BusClient>;
}

const levels = ["trace", "debug", "info", "warn", "error", "err"];
const flushMs = 200;
/** Lines that a slow reader may fall behind before some are dropped. */
const queuedBytesMax = 1 << 20;

export function monitorRoutes({ daemons }: MonitoredDaemons): Route[] {
  const monitor: Handler = (call) => {
    const level = (call.query.get("loglevel") || "info").toLowerCase();
    if (!levels.includes(level)) {
      throw new HttpError(400, `Unknown log level: ${call.query.get("loglevel")}`);
    }
    void follow(call, daemons, level === "err" ? "error" : level);
    return written;
  };
  return [{
    path: "/v1/agent/monitor",
    methods: { GET: monitor },
    acl: "agent:read",
    enterprise: "none",
  }];
}

async function follow(
  call: Call,
  daemons: ReadonlyMap<string, BusClient>,
  level: string,
): Promise<void> {
  const isJson = call.query.has("logjson");
  const out = call.exchange.startStream(200, "Content-Type: text/plain; charset=utf-8\r\n");
  let queued = "";
  const streams = [...daemons].map(([name, client]) => {
    const stream = client.of(Control).tailLog({ lines: 1, follow: true, level });
    stream.onItem = ({ line }) => {
      if (queued.length < queuedBytesMax) queued += (isJson ? line : logText(name, line)) + "\n";
    };
    // A daemon that restarts is missing until the next call: the stream goes on without it.
    stream.onError = () => {};
    return stream;
  });
  while (!out.isClosed) {
    if (queued !== "") {
      const bytes = Buffer.from(queued);
      queued = "";
      await out.write(bytes);
    }
    await Bun.sleep(flushMs);
  }
  for (const stream of streams) stream.cancel();
}
