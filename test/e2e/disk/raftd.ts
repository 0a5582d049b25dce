// raftd itself, with a listener to its steps on the disk.

import { runDaemon } from "#shared/daemon.ts";
import { join } from "node:path";
import { start } from "../../../services/raftd/main.ts";

const stepsModule = join(import.meta.dirname, "steps.ts");
await runDaemon({ name: "raftd", start: (context) => start(context, stepsModule) });
