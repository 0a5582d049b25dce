// The least that a UDP server can do: sends each question back as a reply of fixed bytes. One form
// through node:dgram, one through Bun's own socket with replies sent in batches, as dnsd does it.
// Prints the port once it listens.

import { createSocket } from "node:dgram";

const reply = Buffer.alloc(86);
reply[2] = 0x85;
reply[5] = 1;

/** Question copied back, then three A records' worth of bytes. */
function fixedReply(message: Uint8Array): Uint8Array {
  const bytes = reply.slice(0, Math.min(message.length + 48, reply.length));
  const length = Math.min(message.length, bytes.length);
  for (let i = 12; i < length; i++) bytes[i] = message[i]!;
  const out = new Uint8Array(bytes);
  out[0] = message[0]!;
  out[1] = message[1]!;
  return out;
}

if (process.argv[2] === "dgram") {
  const socket = createSocket({
    type: "udp4",
    lookup: (host, _options, done) => done(null, host, 4),
  });
  socket.on("message", (message, peer) => {
    socket.send(fixedReply(message), peer.port, peer.address);
  });
  socket.on("error", () => {});
  socket.bind(0, "127.0.0.1", () => console.log(socket.address().port));
} else {
  let queue: (Uint8Array | number | string)[] = [];
  const socket = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: {
      data: (_, message, port, address) => {
        queue.push(fixedReply(message), port, address);
        if (queue.length > 3) return;
        setImmediate(() => {
          const items = queue;
          queue = [];
          try {
            socket.sendMany(items);
          } catch {
            // ICMP's word on a client that is gone.
          }
        });
      },
      error: () => {},
    },
  });
  console.log(socket.port);
}
