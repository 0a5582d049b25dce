// A daemon's own loopback port for scrapers and probes: /metrics and /healthz.

import type { Metrics } from "./metrics.ts";

/** Returns what closes it. */
export function serveInspection(
  port: number,
  metrics: Metrics,
  notReady: () => string | undefined,
): () => void {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port,
    routes: {
      "/metrics": async () => {
        const { body, contentType } = await metrics.prometheus();
        return new Response(body, { headers: { "Content-Type": contentType } });
      },
      "/healthz": () => {
        const reason = notReady();
        return reason === undefined
          ? new Response("ready\n")
          : new Response(`${reason}\n`, { status: 503 });
      },
    },
    fetch: () => new Response("Not found\n", { status: 404 }),
  });
  return () => void server.stop(true);
}
