// Which Curia this is, and which Consul it behaves as.

import packageFile from "../../package.json" with { type: "json" };

export const release: string = packageFile.version;
export const buildDate = "2026-11-22T00:00:00Z";
/** The level of Consul whose behaviour is reported to clients. */
export const consulVersion = "1.21.0";
/** What version reports show: Consul's level, and ours as build metadata. */
export const fullVersion = `${consulVersion}+curia.${release}`;
