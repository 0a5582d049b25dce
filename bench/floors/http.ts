// Floor: the fastest HTTP server of this runtime that returns these bytes, and nothing else.
// Usage: bun bench/floors/http.ts <port> <file with the body>

const [port, file] = process.argv.slice(2);
const body = await Bun.file(file!).bytes();
const headers = { "Content-Type": "application/json" };
Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  routes: { "/*": () => new Response(body, { headers }) },
  fetch: () => new Response(null, { status: 404 }),
});
console.log("ready");

export {};
