// What is served outside /v1/: the web UI's files, or word that it is off.

import { join, normalize } from "node:path";
import type { UiConfig } from "#shared/config/types.ts";
import { type Answer, textAnswer } from "../core/answer.ts";
import type { Exchange } from "./exchange.ts";

const types: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  json: "application/json",
  png: "image/png",
  ico: "image/x-icon",
  woff2: "font/woff2",
  txt: "text/plain; charset=utf-8",
};
const disabled = "Consul Agent: UI disabled. To enable, set ui_config.enabled=true in the agent " +
  "configuration and restart.";

export function uiFallback(ui: UiConfig) {
  return (path: string, exchange: Exchange): Answer | Promise<Answer> | undefined => {
    if (!ui.enabled) return path === "/" ? textAnswer(200, disabled) : undefined;
    if (path === "/") {
      const headers = `Location: ${ui.contentPath}\r\n`;
      return { status: 301, contentType: "text/html; charset=utf-8", headers, body: "" };
    }
    if (path === "/robots.txt") return textAnswer(200, "User-agent: *\nDisallow: /\n");
    if (!path.startsWith(ui.contentPath)) return undefined;
    if (exchange.method !== "GET" && exchange.method !== "HEAD") return textAnswer(405, "");
    return file(ui, path.slice(ui.contentPath.length));
  };
}

/** A file of the UI; anything else is one of its pages, which the page itself routes. */
async function file(ui: UiConfig, path: string): Promise<Answer> {
  const root = ui.dir;
  if (root === "") return textAnswer(200, "The web UI is not part of this release of Curia yet.\n");
  for (const name of [normalize(`/${path}`), "/index.html"]) {
    const found = Bun.file(join(root, name));
    if (name === "/" || !await found.exists()) continue;
    const type = types[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
    return { status: 200, contentType: type, headers: "", body: await found.bytes() };
  }
  return textAnswer(404, "Not found\n");
}
