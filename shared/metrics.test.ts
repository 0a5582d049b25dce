import { describe, expect, test } from "bun:test";
import { Metrics } from "./metrics.ts";

describe("metrics", () => {
  test("show in the exposition format", async () => {
    const metrics = new Metrics();
    metrics.counter("dnsd_queries_total", "Queries.").add(3);
    metrics.gauges("dnsd_view_rows", "Rows.").with({ table: 'a"b' }).set(7);
    metrics.observed("dnsd_age_seconds", "Age.", "gauge", () => 1.5);
    const times = metrics.histogram("dnsd_answer_seconds", "Time.", [0.1, 1]);
    for (const value of [0.05, 0.1, 0.5, 3]) times.observe(value);
    const { body, contentType } = await metrics.prometheus();
    expect(contentType).toStartWith("text/plain; version=0.0.4");
    expect(body.trim().split("\n").filter((line) => line !== "")).toEqual([
      "# HELP dnsd_queries_total Queries.",
      "# TYPE dnsd_queries_total counter",
      "dnsd_queries_total 3",
      "# HELP dnsd_view_rows Rows.",
      "# TYPE dnsd_view_rows gauge",
      'dnsd_view_rows{table="a\\"b"} 7',
      "# HELP dnsd_age_seconds Age.",
      "# TYPE dnsd_age_seconds gauge",
      "dnsd_age_seconds 1.5",
      "# HELP dnsd_answer_seconds Time.",
      "# TYPE dnsd_answer_seconds histogram",
      'dnsd_answer_seconds_bucket{le="0.1"} 2',
      'dnsd_answer_seconds_bucket{le="1"} 3',
      'dnsd_answer_seconds_bucket{le="+Inf"} 4',
      "dnsd_answer_seconds_sum 3.65",
      "dnsd_answer_seconds_count 4",
    ]);
  });

  test("with the same labels are one, in whatever order they are given", () => {
    const family = new Metrics().counters("apid_requests_total", "Requests.");
    family.with({ method: "GET", code: "200" }).add();
    family.with({ code: "200", method: "GET" }).add();
    expect(family.with({ method: "GET", code: "200" }).value).toBe(2);
    expect(family.members.size).toBe(1);
  });

  test("with a bad name, or declared twice, are refused", () => {
    const metrics = new Metrics();
    expect(() => metrics.counter("Queries", "x")).toThrow("Expected a metric name such as");
    metrics.counter("dnsd_queries_total", "x");
    expect(() => metrics.gauge("dnsd_queries_total", "x")).toThrow("is declared twice");
  });
});
