// The plots of docs/BENCHMARKS.md, drawn by Vega without a DOM. No background, and colours that stand out from white and from
// GitHub's dark grey alike: an image there cannot know which of them it is on.
import { parse, View } from "vega";
import { compile, type TopLevelSpec } from "vega-lite";
import { FIGURES, type Figure } from "../figures.ts";
import type { LatencyPath } from "../series.ts";
import { type CostCurve, costCurves, type Kept, medians } from "./kept.ts";

const INK = "#768390";
const COLOURS = { limit: "#8c959f", onrush: "#2f81f7", peer: "#db6d28", second: "#2da44e", third: "#a371f7" } as const;
const WIDTH = 560;

/** The bars, in this order, and what each of them is. */
const BARS: readonly (readonly [Figure, "limit" | "Onrush" | "peer"])[] = [
  ["node_http_rps", "limit"],
  ["noop_rps", "limit"],
  ["soldout_rps", "Onrush"],
  ["soldout_keyed_rps", "Onrush"],
  ["rush_rps", "Onrush"],
  ["accept_rps", "Onrush"],
  ["accept_all_rps", "Onrush"],
  ["accept_all_durable_rps", "Onrush"],
  ["bullmq_rps", "peer"],
  ["pg_skip_locked_rps", "peer"],
  ["redis_lock_rps", "peer"],
  ["pg_row_rps", "peer"],
];
/** Bars whose label in the table leans on the line above it. */
const BAR_LABELS: Partial<Record<Figure, string>> = {
  node_http_rps: "no-op POST, node:http",
  noop_rps: "no-op POST, Hono",
  accept_all_durable_rps: "until all are in Postgres",
  bullmq_rps: "BullMQ, until all are in Postgres",
};
const PATHS: Readonly<Record<LatencyPath, string>> = {
  accept: "accepted, admission alone",
  soldout: "sold out",
  everything: "accepted, everything running",
};
export const MEMORY_BOUND_MB = 300;

/** SVG by the name of its file; those whose figures were not measured are left out. */
export async function drawPlots(kept: Kept): Promise<ReadonlyMap<string, string>> {
  const specs = {
    throughput: throughput(kept),
    latency: latency(kept),
    connections: connections(kept),
    cost: cost(kept),
    memory: memory(kept),
  };
  const drawn = new Map<string, string>();
  for (const [name, spec] of Object.entries(specs)) if (spec) drawn.set(name, await draw(spec));
  return drawn;
}

async function draw(spec: object): Promise<string> {
  const styled: object = {
    background: null,
    config: {
      aria: false, // the document's text says what each plot shows
      view: { stroke: null },
      font: "-apple-system, Segoe UI, Helvetica, Arial, sans-serif",
      axis: { labelColor: INK, titleColor: INK, gridColor: INK, gridOpacity: 0.25, domainColor: INK, tickColor: INK },
      legend: { labelColor: INK, titleColor: INK, labelLimit: 300, orient: "bottom", direction: "horizontal" },
      header: { labelColor: INK, titleColor: INK },
      title: { color: INK },
      text: { color: INK },
    },
    ...spec,
  };
  const svg = await new View(parse(compile(styled as TopLevelSpec).spec), { renderer: "none" }).toSVG();
  return `${svg}\n`;
}

function throughput({ figures }: Kept): object | undefined {
  const values = BARS.flatMap(([name, kind]) => {
    const figure = figures[name];
    return figure ? [{ label: BAR_LABELS[name] ?? FIGURES[name].label.trim(), kind, ...figure }] : [];
  });
  if (values.length === 0) return undefined;
  const y = { field: "label", type: "nominal", sort: null, title: null, axis: { labelLimit: 300 } };
  return {
    width: WIDTH,
    height: { step: 24 },
    data: { values },
    layer: [
      {
        mark: { type: "bar", height: { band: 0.7 } },
        encoding: {
          y,
          x: { field: "median", type: "quantitative", title: "a second (line: spread over the rounds)" },
          color: {
            field: "kind",
            type: "nominal",
            title: null,
            scale: { domain: ["limit", "Onrush", "peer"], range: [COLOURS.limit, COLOURS.onrush, COLOURS.peer] },
          },
        },
      },
      {
        mark: { type: "rule", color: INK, strokeWidth: 2 },
        encoding: { y, x: { field: "min", type: "quantitative" }, x2: { field: "max" } },
      },
      {
        mark: { type: "text", align: "left", dx: 6 },
        encoding: { y, x: { field: "max", type: "quantitative" }, text: { field: "median", format: ",.0f" } },
      },
    ],
  };
}

function latency({ series }: Kept): object | undefined {
  if (!series.latency) return undefined;
  const { points } = series.latency;
  const values = (["p50", "p90", "p99", "p999"] as const).flatMap((percentile) =>
    medians(points, ["path", "load"], `${percentile}Ms`).map(({ at, median }) => ({
      path: PATHS[at.path],
      load: at.load * 100,
      percentile: percentile === "p999" ? "p99.9" : percentile,
      ms: median,
    })),
  );
  return {
    data: { values },
    facet: { column: { field: "path", type: "nominal", title: null, sort: Object.values(PATHS) } },
    spec: {
      width: WIDTH / 3,
      height: 220,
      mark: { type: "line", point: true },
      encoding: {
        x: { field: "load", type: "quantitative", title: "load, % of capacity", scale: { domain: [0, 100] } },
        y: { field: "ms", type: "quantitative", title: "ms", scale: { type: "log" } },
        color: {
          field: "percentile",
          type: "nominal",
          title: null,
          scale: { range: [COLOURS.limit, COLOURS.second, COLOURS.onrush, COLOURS.peer] },
        },
      },
    },
  };
}

function connections({ series }: Kept): object | undefined {
  if (!series.connections) return undefined;
  const values = medians(series.connections.points, ["connections"], "perSecond").map(({ at, median }) => ({
    ...at,
    perSecond: median,
  }));
  return {
    width: WIDTH,
    height: 220,
    data: { values },
    mark: { type: "line", point: true, color: COLOURS.onrush },
    encoding: {
      x: { field: "connections", type: "quantitative", title: "connections", scale: { type: "log", base: 4 } },
      y: { field: "perSecond", type: "quantitative", title: "orders a second" },
    },
  };
}

function cost(kept: Kept): object | undefined {
  const panels = costCurves(kept).map(costPanel);
  return panels.length === 0 ? undefined : { hconcat: panels };
}

function costPanel({ title, points }: CostCurve): object {
  const parts = { admissionUs: "engine and Redis", persisterUs: "persister and Postgres" } as const;
  const values = (Object.keys(parts) as (keyof typeof parts)[]).flatMap((part) =>
    medians(points, ["place"], part).map(({ at, median }) => ({ place: at.place, us: median, part: parts[part] })),
  );
  return {
    width: WIDTH / 2,
    height: 220,
    data: { values },
    mark: { type: "line", point: true },
    encoding: {
      x: { field: "place", type: "quantitative", title, scale: { type: "log" }, axis: { format: "~s", tickCount: 4 } },
      y: { field: "us", type: "quantitative", title: "µs of processor an order", scale: { zero: true } },
      color: {
        field: "part",
        type: "nominal",
        title: null,
        scale: { domain: Object.values(parts), range: [COLOURS.onrush, COLOURS.peer] },
      },
    },
  };
}

function memory({ series }: Kept): object | undefined {
  if (!series.rss) return undefined;
  return {
    width: WIDTH,
    height: 220,
    layer: [
      {
        data: { values: series.rss.points.map((point) => ({ ...point })) }, // Vega marks what it is given
        mark: { type: "line", color: COLOURS.onrush },
        encoding: {
          x: { field: "second", type: "quantitative", title: "seconds of full load" },
          y: { field: "mb", type: "quantitative", title: "MB resident", scale: { zero: true } },
        },
      },
      {
        data: { values: [{ bound: MEMORY_BOUND_MB }] },
        mark: { type: "rule", color: COLOURS.peer, strokeDash: [4, 4] },
        encoding: { y: { field: "bound", type: "quantitative" } },
      },
    ],
  };
}
