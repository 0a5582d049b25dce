// The record types that dnsd makes or passes on, as data: type → code, textual form. How each is
// put into bytes stands in wire/encode.ts.

export const typeCodes = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  DS: 43,
  AXFR: 252,
  ANY: 255,
} as const;

export const rcodes = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
} as const;

interface Head {
  /** Fully qualified, in presentation form. */
  owner: string;
  ttlSeconds: number;
}

export interface AddressRecord extends Head {
  kind: "A" | "AAAA";
  bytes: Uint8Array;
}
export interface PointerRecord extends Head {
  kind: "CNAME" | "NS" | "PTR";
  target: string;
}
export interface SrvRecord extends Head {
  kind: "SRV";
  priority: number;
  weight: number;
  port: number;
  target: string;
}
export interface TxtRecord extends Head {
  kind: "TXT";
  bytes: Uint8Array;
}
export interface SoaRecord extends Head {
  kind: "SOA";
  mname: string;
  rname: string;
  serial: number;
  refresh: number;
  retry: number;
  expire: number;
  minTtl: number;
}
/** A record of another kind that came from a recursor: its data holds no compressed name. */
export interface ForeignRecord extends Head {
  kind: "foreign";
  code: number;
  class: number;
  bytes: Uint8Array;
}

export type ResourceRecord =
  | AddressRecord
  | PointerRecord
  | SrvRecord
  | TxtRecord
  | SoaRecord
  | ForeignRecord;

/** An A or AAAA record of the address if the question's type takes one of its family. */
export function addressRecord(
  bytes: Uint8Array,
  questionType: number,
  owner: string,
  ttlSeconds: number,
): AddressRecord | undefined {
  const kind = bytes.length === 4 ? "A" : "AAAA";
  switch (questionType) {
    case typeCodes[kind]:
    case typeCodes.ANY:
    case typeCodes.TXT:
    case typeCodes.SRV:
      return { kind, owner, ttlSeconds, bytes };
    default:
      return undefined;
  }
}

/** What tells two records apart, for dropping duplicates. */
export function recordText(record: ResourceRecord): string {
  const head = `${record.owner} ${record.ttlSeconds} ${record.kind} `;
  switch (record.kind) {
    case "A":
    case "AAAA":
      return head + record.bytes.join(".");
    case "CNAME":
    case "NS":
    case "PTR":
      return head + record.target;
    case "SRV":
      return head + `${record.priority} ${record.weight} ${record.port} ${record.target}`;
    case "TXT":
      return head + record.bytes.join();
    case "SOA":
      return head + `${record.mname} ${record.rname} ${record.serial}`;
    case "foreign":
      return head + `${record.code} ${record.bytes.join()}`;
    default:
      return record satisfies never;
  }
}
