// All tables over one database and one journal.

import type { Database } from "bun:sqlite";
import type { Journal } from "./journal.ts";
import { CheckTable } from "./tables/checks.ts";
import { CoordinateTable } from "./tables/coordinates.ts";
import { DocumentTable } from "./tables/documents.ts";
import { KvTable } from "./tables/kv.ts";
import { NodeTable } from "./tables/nodes.ts";
import { ServiceTable } from "./tables/services.ts";
import { SessionTable } from "./tables/sessions.ts";

export interface Tables {
  readonly kv: KvTable;
  readonly nodes: NodeTable;
  readonly services: ServiceTable;
  readonly checks: CheckTable;
  readonly sessions: SessionTable;
  readonly coordinates: CoordinateTable;
  readonly documents: DocumentTable;
}

export function openTables(db: Database, journal: Journal): Tables {
  return {
    kv: new KvTable(db, journal),
    nodes: new NodeTable(db, journal),
    services: new ServiceTable(db, journal),
    checks: new CheckTable(db, journal),
    sessions: new SessionTable(db, journal),
    coordinates: new CoordinateTable(db, journal),
    documents: new DocumentTable(db, journal),
  };
}
