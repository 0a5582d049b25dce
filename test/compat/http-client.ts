// An HTTP client that sends the path exactly as given and never follows, decompresses or adds.

export interface HttpRequest {
  method: string;
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array;
}

export interface HttpAnswer {
  status: number;
  /** Names in lower case. */
  headers: Map<string, string>;
  body: Buffer;
  tookMs: number;
}

const timeoutMs = 120_000;

export function httpRequest(base: string, request: HttpRequest): Promise<HttpAnswer> {
  const { hostname, port } = new URL(base.includes("://") ? base : `http://${base}`);
  const { method, path, headers = {}, body } = request;
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${hostname}:${port}`, "Connection: close"];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== undefined || method === "PUT" || method === "POST") {
    lines.push(`Content-Length: ${body?.length ?? 0}`);
  }
  const sent = Buffer.concat([
    Buffer.from(lines.join("\r\n") + "\r\n\r\n"),
    body ?? Buffer.alloc(0),
  ]);
  const startedMs = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const received: Buffer[] = [];
  let rest: Uint8Array = sent;
  const timer = setTimeout(() => reject(new Error("no answer in time")), timeoutMs);
  const finish = () => {
    clearTimeout(timer);
    try {
      resolve(parseAnswer(Buffer.concat(received), method, performance.now() - startedMs));
    } catch (error) {
      reject(error);
    }
  };
  const flush = (socket: Bun.Socket<undefined>) => {
    while (rest.length > 0) {
      const written = socket.write(rest);
      if (written <= 0) return;
      rest = rest.subarray(written);
    }
  };
  Bun.connect<undefined>({
    hostname,
    port: Number(port || 80),
    socket: {
      open: flush,
      drain: flush,
      data: (_socket, bytes) => void received.push(Buffer.from(bytes)),
      close: finish,
      error: (_socket, error) => reject(error),
      connectError: (_socket, error) => reject(error),
    },
  }).catch(reject);
  return promise;
}

function parseAnswer(bytes: Buffer, method: string, tookMs: number): HttpAnswer {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) throw new Error(`the connection closed after ${bytes.length} bytes`);
  const [first = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const status = Number(first.split(" ")[1]);
  const headers = new Map(lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }));
  const raw = bytes.subarray(end + 4);
  if (status === 100) return parseAnswer(raw, method, tookMs);
  const isChunked = headers.get("transfer-encoding") === "chunked";
  const body = method === "HEAD" ? Buffer.alloc(0) : isChunked ? unchunk(raw) : raw;
  return { status, headers, body, tookMs };
}

function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) throw new Error("the answer ends inside its chunks");
    const size = parseInt(bytes.subarray(at, lineEnd).toString("latin1"), 16);
    if (size === 0) return Buffer.concat(parts);
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}
