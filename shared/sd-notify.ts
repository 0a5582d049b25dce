// Readiness for systemd: one datagram to the socket that NOTIFY_SOCKET names (sd_notify(3)). Bun has
// no Unix datagram sockets, so libc is called.

import { dlopen, ptr } from "bun:ffi";

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 0o2000002;

/** Sends `state`, e.g. "READY=1"; false when there is nobody to tell. */
export function sdNotify(state: string, socket = process.env.NOTIFY_SOCKET ?? ""): boolean {
  if (!/^[@/]/.test(socket)) return false;
  const libc = openLibc();
  if (libc === undefined) return false;
  const path = Buffer.from(socket);
  // sockaddr_un: two bytes of family, then the path; "@" stands for the abstract namespace.
  const address = Buffer.alloc(2 + path.length);
  address.writeUInt16LE(AF_UNIX, 0);
  path.copy(address, 2);
  if (socket.startsWith("@")) address[2] = 0;
  const message = Buffer.from(state);
  const file = libc.symbols.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  if (file < 0) return false;
  const sent = libc.symbols.sendto(
    file,
    ptr(message),
    message.length,
    0,
    ptr(address),
    address.length,
  );
  libc.symbols.close(file);
  return Number(sent) === message.length;
}

function openLibc() {
  for (const name of ["libc.so.6", "libc.so", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"]) {
    try {
      return dlopen(name, {
        socket: { args: ["i32", "i32", "i32"], returns: "i32" },
        sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
        close: { args: ["i32"], returns: "i32" },
      });
    } catch {
      // Another libc.
    }
  }
  return undefined;
}
