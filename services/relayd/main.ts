// relayd: finds the right server for a request.

import { runDaemon } from "#shared/daemon.ts";

await runDaemon({
  name: "relayd",
  start: () => ({ ready: () => undefined, details: () => ({}), stop: () => {} }),
});
