// /v1/coordinate/ (spec: http-api 5.7).

import { Gossip } from "#proto/services.ts";
import type { BusClient } from "#shared/bus/client.ts";
import { emptyAnswer } from "../../core/answer.ts";
import { HttpError } from "../../core/http-error.ts";
import { type Fields, float, list, object, text } from "../../core/json-schema.ts";
import type { Json } from "../../core/json-writer.ts";
import { renderCoordinate } from "../../core/render/rows.ts";
import type { Call, Route } from "../call.ts";
import type { ReadRoutes } from "../read-route.ts";
import type { ReadPlan } from "../reads/plan.ts";
import type { Writes } from "../writes.ts";

export interface CoordinateDaemons {
  readRoutes: ReadRoutes;
  writes: Writes;
  /** The way to a server's gossipd: only servers are in the WAN pool. */
  state: BusClient;
  isDisabled: boolean;
}

const schema = object("CoordinateUpdateRequest", {
  fields: {
    Datacenter: text,
    Node: text,
    Segment: text,
    Partition: text,
    Coord: object("Coordinate", {
      fields: { Vec: list(float), Error: float, Adjustment: float, Height: float },
    }),
  },
});
const dimensions = 8;

export function coordinateRoutes(daemons: CoordinateDaemons): Route[] {
  const { readRoutes, writes, state, isDisabled } = daemons;
  const update = async (call: Call) => {
    const body = await call.jsonBody(schema);
    const options = readRoutes.optionsOf(call);
    const coordinate = coordinateOf(body);
    await writes.apply({ coordinates: { coordinates: [coordinate] } }, options);
    return emptyAnswer;
  };
  const datacenters = async (call: Call) => {
    const { coordinates } = await state.of(Gossip).coordinates(
      { wan: true },
      { daemon: "gossipd" },
    );
    const areas = new Map<string, { Datacenter: string; AreaID: string; Coordinates: Json[] }>();
    for (const { datacenter, area, coordinate } of coordinates) {
      const key = `${datacenter} ${area}`;
      const known = areas.get(key) ??
        { Datacenter: datacenter, AreaID: area || "wan", Coordinates: [] };
      if (coordinate !== null) {
        const node = coordinate.node.replace(new RegExp(`\\.${RegExp.escape(datacenter)}$`), "");
        known.Coordinates.push(renderCoordinate({ ...coordinate, node }));
      }
      areas.set(key, known);
    }
    return call.json([...areas.values()] as unknown as Json[]);
  };
  const route = (path: string, method: string, handler: Route["methods"][string]): Route => ({
    path: `/v1/coordinate/${path}`,
    methods: {
      [method]: (call) => {
        if (isDisabled) throw new HttpError(401, "Coordinate support disabled");
        return handler(call);
      },
    },
    acl: "node:read",
    enterprise: "partition",
  });
  return [
    route("datacenters", "GET", datacenters),
    route("nodes", "GET", readRoutes.handler((call) => plan(call, ""))),
    route("node/", "GET", readRoutes.handler((call) => plan(call, call.rest))),
    { ...route("update", "PUT", update), acl: "node:write" },
  ];
}

function plan(call: Call, node: string): ReadPlan {
  const isOfNode = call.path.startsWith("/v1/coordinate/node/");
  const hasSegment = call.query.has("segment");
  const segment = call.query.get("segment");
  return {
    key: `coordinate ${call.layout} ${JSON.stringify([isOfNode, node, hasSegment, segment])}`,
    query: { coordinates: { node } },
    render: (reply) => {
      let rows = reply.coordinates;
      if (isOfNode) rows = rows.filter((row) => row.node.toLowerCase() === node.toLowerCase());
      if (hasSegment) rows = rows.filter((row) => row.segment === segment);
      if (isOfNode && rows.length === 0) {
        return { status: 404, contentType: "", headers: "", body: "" };
      }
      return call.json(rows.map(renderCoordinate));
    },
  };
}

function coordinateOf(body: Fields) {
  const coord = (body.Coord ?? {}) as Fields;
  const vec = (coord.Vec ?? []) as number[];
  const coordinate = {
    node: (body.Node ?? "") as string,
    segment: (body.Segment ?? "") as string,
    vec,
    error: (coord.Error ?? 0) as number,
    adjustment: (coord.Adjustment ?? 0) as number,
    height: (coord.Height ?? 0) as number,
  };
  const numbers = [...vec, coordinate.error, coordinate.adjustment, coordinate.height];
  if (numbers.some((number) => !Number.isFinite(number))) {
    throw new HttpError(500, "invalid coordinate");
  }
  if (vec.length !== dimensions) throw new HttpError(500, "incompatible coordinate");
  return coordinate;
}
