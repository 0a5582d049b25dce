// Floor: HTTP PUT to one SQLite file, durable before the answer, all that waits in one commit.
// Usage: bun bench/floors/put.ts <port> <database file>

import { Database } from "bun:sqlite";

const [port, file] = process.argv.slice(2);
const db = new Database(file!, { create: true });
db.run("PRAGMA journal_mode = WAL");
db.run("PRAGMA synchronous = FULL");
db.run("CREATE TABLE kv (id INTEGER PRIMARY KEY, key BLOB UNIQUE, value BLOB)");
const put = db.query(
  "INSERT INTO kv (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
);
let waiting: { key: string; value: Uint8Array; done: () => void }[] = [];

function commit(): void {
  const batch = waiting;
  waiting = [];
  db.run("BEGIN IMMEDIATE");
  for (const { key, value } of batch) put.run(key, value);
  db.run("COMMIT");
  for (const { done } of batch) done();
}

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  async fetch(request) {
    const value = await request.bytes();
    const key = request.url.slice(request.url.indexOf("/", 8));
    await new Promise<void>((done) => {
      if (waiting.push({ key, value, done }) === 1) setImmediate(commit);
    });
    return new Response("true", { headers: { "Content-Type": "application/json" } });
  },
});
console.log("ready");
