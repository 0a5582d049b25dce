// What the configuration depends on besides its texts; read in one place (io.ts), so that the
// rest is a plain function.

import type { HostInterface } from "./sockaddr.ts";

export interface HostFacts {
  hostName: string;
  interfaces: readonly HostInterface[];
  fileDescriptorsMax: number;
  /** Where sockets go when neither run_dir nor data_dir says. */
  fallbackRunDir: string;
  absolutePath(path: string): string;
  pathKind(path: string): "directory" | "other" | "absent";
}
