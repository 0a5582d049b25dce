// The clock of leases: CLOCK_BOOTTIME, which every thread reads alike (each worker's performance.now
// has an origin of its own) and which goes on while the machine sleeps (spec: leases must end then).

import { dlopen, ptr } from "bun:ffi";

const CLOCK_BOOTTIME = 7;

const libc = dlopen("libc.so.6", {
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
});
// struct timespec on 64-bit Linux: seconds and nanoseconds, 8 bytes each.
const timespec = new BigInt64Array(2);
const words = new Uint32Array(timespec.buffer);
const address = ptr(timespec);

/** Milliseconds since the machine started, the same in every thread and process of it. */
export function bootTimeMs(): number {
  libc.symbols.clock_gettime(CLOCK_BOOTTIME, address);
  return words[0]! * 1000 + words[2]! / 1e6;
}
