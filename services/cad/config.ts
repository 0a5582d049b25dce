// What cad takes of the configuration. Nothing of it reloads: the CA's configuration is replicated
// and changed over the API.

import type { DaemonConfig } from "#shared/config/parts.ts";

export type CadConfig = DaemonConfig<"cad">;
