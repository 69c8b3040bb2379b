// What the report makes of results: which are kept, what is drawn and written, and the capacity model's arithmetic.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { BLOCKS, fillIn, renderBlocks } from "../../../bench/document/blocks.ts";
import { capacityFor, type OrderCosts } from "../../../bench/document/capacity.ts";
import { type Kept, keep, medians, type Result } from "../../../bench/document/kept.ts";
import { drawPlots } from "../../../bench/document/plots.ts";
import { writeReport } from "../../../bench/document/write.ts";

const MACHINE = { cores: 2, cpu: "some", memoryGb: 4, platform: "linux-x64", loadBefore: 0.5, versions: { node: "1" } };
const TOOK = { samples: 9, p50Ms: 1, p90Ms: 2, p99Ms: 4, p999Ms: 8, maxMs: 9 };

function result(more: Partial<Result> = {}): Result {
  const right = { oversold: 0, lost: 0, duplicated: 0 };
  return { machine: MACHINE, startedAt: "2026-11-21T10:00:00.000Z", ...right, spread: { ratios: {} }, ...more };
}

const WHOLE = result({
  spread: { ratios: { accept_to_noop: [0.5, 0.4, 0.6] }, noop_rps: [30_000], accept_rps: [9, 7, 11], pg_row_rps: [3] },
  series: {
    latency: [0.25, 0.5].map((load) => {
      const lag = { lagP50Ms: 0.1, lagP99Ms: 0.2, unanswered: 0 };
      return { path: "accept", load, perSecond: load * 1_000, ...TOOK, ...lag };
    }),
    connections: [
      { connections: 1, perSecond: 10 },
      { connections: 4, perSecond: 40 },
    ],
    depth: [{ orders: 1_000, admissionUs: 50, persisterUs: 60 }],
    skus: [{ skus: 1, admissionUs: 50, persisterUs: 60 }],
    ack: [{ mode: "fsync", perSecond: 5, p50Ms: 1, p99Ms: 2 }],
    rss: [{ second: 1, mb: 200 }],
    processors: ["api", "redis", "persister", "worker", "postgres"].map((process) => ({ process, usPerOrder: 60 })),
  },
  peersKilled: [
    {
      ...{ peer: "pg_row", victim: "postgres", appendfsync: null, kills: 1, acknowledged: 9, youngMax: 0 },
      ...{ missing: 0, twice: 0, oversold: 0, strayUnits: 0, unanswered: 0 },
    },
  ],
});

describe("what is kept", () => {
  it("is the newest of each figure, with its day and the machine's load", () => {
    const older = result({ spread: { ratios: {}, accept_rps: [1], noop_rps: [2] } });
    const newer = result({ startedAt: "2026-11-22T10:00:00.000Z", spread: { ratios: {}, accept_rps: [5, 3, 4] } });
    const { figures } = keep(keep(undefined, older), newer);
    expect(figures["noop_rps"]).toMatchObject({ median: 2, at: older.startedAt, rounds: 1 });
    expect(figures["accept_rps"]).toEqual({
      median: 4,
      min: 3,
      max: 5,
      rounds: 3,
      at: newer.startedAt,
      loadBefore: 0.5,
    });
  });

  it.each(["oversold", "lost", "duplicated"] as const)("is never a result in which one was %s", (fault) => {
    expect(() => keep(undefined, result({ [fault]: 1 }))).toThrow(/books .* are wrong/);
  });

  it("has one median for each place of a curve", () => {
    const points = [
      { at: 1, ms: 5 },
      { at: 2, ms: 7 },
      { at: 1, ms: 9 },
      { at: 1, ms: 6 },
    ];
    expect(medians(points, ["at"], "ms")).toEqual([
      { at: { at: 1 }, median: 6 },
      { at: { at: 2 }, median: 7 },
    ]);
  });
});

describe("plots", () => {
  it("are drawn for what was measured, without a background", async () => {
    const plots = await drawPlots(keep(undefined, WHOLE));
    expect([...plots.keys()]).toEqual(["throughput", "latency", "connections", "cost", "memory"]);
    for (const [name, svg] of plots) {
      expect(svg, name).toMatch(/^<svg .*<\/svg>\n$/s);
      expect(svg, name).not.toMatch(/fill="(white|#fff(fff)?|black|#000(000)?)"/);
      expect(svg, name).not.toMatch(/NaN|Infinity/);
    }
  });

  it("are left out where nothing was measured", async () => {
    expect([...(await drawPlots(keep(undefined, result()))).keys()]).toEqual([]);
  });
});

describe("the document", () => {
  const markers = BLOCKS.map((name) => `# ${name}\n<!-- bench:${name} -->\nold\n<!-- /bench:${name} -->\nkept\n`).join(
    "",
  );
  const folder = mkdtempSync(path.join(tmpdir(), "onrush-report-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("gets every part anew, and nothing else", () => {
    const kept = keep(undefined, WHOLE);
    const text = fillIn(markers, renderBlocks(kept, new Set(["latency"])));
    expect(text).not.toMatch(/^old$/m);
    expect(text).not.toContain("Not measured");
    expect(text.match(/^kept$/gm)).toHaveLength(BLOCKS.length);
    expect(text).toContain(
      "| `accept_to_noop`: accepted / no-op | 0.50 | 0.45 | 0.6 | 0.40 to 0.60 | 3 | 2026-11-21 | 0.5 |",
    );
    expect(text).toContain("![Latency against load](benchmarks/latency.svg)");
    expect(text).not.toContain("benchmarks/memory.svg");
    expect(fillIn(text, renderBlocks(kept, new Set(["latency"])))).toBe(text);
  });

  it("says what was not measured, rather than nothing", () => {
    expect(renderBlocks(keep(undefined, result()), new Set()).latency).toBe("*Not measured yet.*");
  });

  it("needs a place for each part", () => {
    const kept = keep(undefined, WHOLE);
    expect(() => fillIn("no markers", renderBlocks(kept, new Set()))).toThrow(/no place for machine/);
  });

  it("is written from results, and from what was kept of them", async () => {
    const file = path.join(folder, "result.json");
    writeFileSync(file, JSON.stringify(WHOLE));
    writeFileSync(path.join(folder, "BENCHMARKS.md"), markers);
    await expect(writeReport(folder, [])).rejects.toThrow(/Nothing was kept yet/);
    const written = await writeReport(folder, [file]);
    expect(written.map((name) => path.relative(folder, name))).toContain(path.join("benchmarks", "memory.svg"));
    const first = written.map((name) => readFileSync(name, "utf8"));
    expect((await writeReport(folder, [])).map((name) => readFileSync(name, "utf8"))).toEqual(first);
  });
});

describe("the capacity model", () => {
  const costs: OrderCosts = { api: 60, redis: 30, persister: 50, worker: 60, postgres: 180 };
  const assumptions = { busyShare: 0.5, coresPerNode: 8, postgresCoresMax: 32, coresPerRedis: 2 };
  const needs = (acceptedPerSecond: number, finishedPerSecond: number) =>
    Object.fromEntries(
      capacityFor({ acceptedPerSecond, finishedPerSecond }, costs, assumptions).map((need) => [need.part, need]),
    );

  it("is the work over what a process is given, in whole processes and whole nodes", () => {
    const at100k = needs(100_000, 100_000);
    expect(at100k["api"]).toMatchObject({ cores: 6, processes: 12, nodes: 2 });
    expect(at100k["redis"]).toMatchObject({ cores: 3, processes: 6, nodes: 2 }); // four to a node
    expect(at100k["postgres"]).toMatchObject({ cores: 18, processes: 36, nodes: 2 }); // 32 cores each
  });

  it("lets a peak's orders be finished later: only admission is as large as the peak", () => {
    const [peak, flat] = [needs(100_000, 10_000), needs(100_000, 100_000)];
    for (const part of ["api", "redis"]) expect(peak[part]).toEqual(flat[part]);
    for (const part of ["persister", "worker", "postgres"]) {
      expect(peak[part]?.cores).toBeCloseTo((flat[part]?.cores ?? 0) / 10);
    }
  });

  it("never gives a process more than its share", () => {
    for (const rate of [1, 999, 10_000, 583_000]) {
      for (const { cores, processes } of capacityFor({ acceptedPerSecond: rate, finishedPerSecond: rate }, costs)) {
        expect(processes * 0.6).toBeGreaterThanOrEqual(cores - 1e-6);
        expect((processes - 1) * 0.6).toBeLessThan(cores);
      }
    }
  });

  it("refuses a cost that was not measured", () => {
    const rates = { acceptedPerSecond: 1, finishedPerSecond: 1 };
    expect(() => capacityFor(rates, { ...costs, api: Number.NaN })).toThrow(RangeError);
  });
});

/** Kept is what a file holds: it survives being written and read. */
describe("figures.json", () => {
  it("is the same after a round trip", () => {
    const kept: Kept = keep(undefined, WHOLE);
    expect(JSON.parse(JSON.stringify(kept))).toEqual(kept);
  });
});
