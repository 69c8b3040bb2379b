// The generated parts of docs/BENCHMARKS.md, each between two markers: `<!-- bench:name -->` and `<!-- /bench:name -->`.
import { FIGURES, type Figure, RATIOS, type RatioName } from "../figures.ts";
import type { LatencyPath } from "../series.ts";
import { ASSUMPTIONS, capacityFor, type OrderCosts, PARTS } from "./capacity.ts";
import { costCurves, type Kept, type KeptFigure, medians, type Origin } from "./kept.ts";

export const BLOCKS = [
  ...(["machine", "throughput", "ratios", "latency", "ack", "curves", "memory", "capacity"] as const),
  "killed",
] as const;
export type Block = (typeof BLOCKS)[number];

const NOT_MEASURED = "*Not measured yet.*";
const PATHS: Readonly<Record<LatencyPath, string>> = {
  accept: "accepted, admission alone",
  soldout: "sold out",
  everything: "accepted, everything running",
};
const VICTIMS = { processes: "its processes", redis: "its Redis", postgres: "its Postgres" } as const;
const RATES = [10_000, 100_000, 583_000] as const;
/** A peak of a minute whose orders are carried to their end over ten. */
const PEAK = { seconds: 60, finishedWithinSeconds: 600 } as const;

/** @param plots names of those that were drawn */
export function renderBlocks(kept: Kept, plots: ReadonlySet<string>): Readonly<Record<Block, string>> {
  const plot = (name: string, alt: string) => (plots.has(name) ? `![${alt}](benchmarks/${name}.svg)` : undefined);
  const block = (...parts: (string | undefined)[]) =>
    parts.filter((part) => part !== undefined).join("\n\n") || NOT_MEASURED;
  return {
    machine: machine(kept),
    throughput: block(plot("throughput", "A second: limits, Onrush, peers"), figures(kept)),
    ratios: block(ratios(kept)),
    latency: block(plot("latency", "Latency against load"), latency(kept)),
    ack: block(ack(kept)),
    curves: block(
      plot("connections", "Orders a second by connections"),
      plot("cost", "Processor time an order by the size of the sale"),
      curves(kept),
    ),
    memory: block(plot("memory", "Resident memory of the API at full load"), memory(kept)),
    capacity: block(capacity(kept)),
    killed: block(killed(kept)),
  };
}

/** The document with its generated parts anew. @throws when a marker is missing */
export function fillIn(document: string, blocks: Readonly<Record<Block, string>>): string {
  return BLOCKS.reduce((text, name) => {
    const [open, close] = [`<!-- bench:${name} -->`, `<!-- /bench:${name} -->`];
    const [from, to] = [text.indexOf(open), text.indexOf(close)];
    if (from < 0 || to < from) throw new Error(`the document has no place for ${name}: ${open} ... ${close}`);
    return `${text.slice(0, from + open.length)}\n${blocks[name]}\n${text.slice(to)}`;
  }, document);
}

function machine({ machine: { cores, cpu, memoryGb, versions } }: Kept): string {
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${cores} cores (${cpu}), ${memoryGb} GB; ${named.join(", ")}.`;
}

function figures({ figures: kept }: Kept): string | undefined {
  const names = (Object.keys(FIGURES) as Figure[]).filter((name) => kept[name]);
  return table(
    ["figure", "median", "unit", "spread", "rounds", "day", "load before"],
    names.map((name) => {
      const figure = kept[name] as KeptFigure;
      return [`\`${name}\`: ${FIGURES[name].label.trim()}`, show(figure.median), FIGURES[name].unit, ...spread(figure)];
    }),
  );
}

function ratios({ ratios: kept }: Kept): string | undefined {
  const names = (Object.keys(RATIOS) as RatioName[]).filter((name) => kept[name]);
  return table(
    ["ratio", "median", "floor", "target", "spread", "rounds", "day", "load before"],
    names.map((name) => {
      const { label, floor, target } = RATIOS[name];
      const ratio = kept[name] as KeptFigure;
      return [`\`${name}\`: ${label}`, ratio.median.toFixed(2), `${floor}`, `${target}`, ...spread(ratio, 2)];
    }),
  );
}

function latency({ series }: Kept): string | undefined {
  if (!series.latency) return undefined;
  const { points } = series.latency;
  const columns = ["perSecond", "p50Ms", "p90Ms", "p99Ms", "p999Ms", "lagP99Ms"] as const;
  const byColumn = columns.map((column) => medians(points, ["path", "load"], column));
  const rows = (byColumn[0] ?? []).map(({ at }) => [
    PATHS[at.path],
    `${Math.round(at.load * 100)} %`,
    ...byColumn.map((places) => {
      const place = places.find((other) => other.at.path === at.path && other.at.load === at.load);
      return show(place?.median ?? Number.NaN);
    }),
  ]);
  const headings = ["", "load", "a second", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "generator's lag, p99 ms"];
  return `${table(headings, rows)}\n\n${origin(series.latency)}`;
}

function ack({ series }: Kept): string | undefined {
  if (!series.ack) return undefined;
  const { points } = series.ack;
  const columns = (["perSecond", "p50Ms", "p99Ms"] as const).map((column) => medians(points, ["mode"], column));
  const rows = (columns[0] ?? []).map(({ at }) => [
    `\`${at.mode}\``,
    ...columns.map((places) => show(places.find((other) => other.at.mode === at.mode)?.median ?? Number.NaN)),
  ]);
  return `${table(["`ACK_MODE`", "orders/s", "p50 ms at half of it", "p99 ms"], rows)}\n\n${origin(series.ack)}`;
}

function curves({ series }: Pick<Kept, "series">): string | undefined {
  const parts: string[] = [];
  if (series.connections) {
    const places = medians(series.connections.points, ["connections"], "perSecond");
    const heads = ["connections", ...places.map(({ at }) => show(at.connections))];
    parts.push(`${table(heads, [["orders/s", ...places.map(({ median }) => show(median))]])}`);
    parts.push(origin(series.connections));
  }
  for (const { title, points, ...when } of costCurves({ series })) {
    const admission = medians(points, ["place"], "admissionUs");
    const persister = medians(points, ["place"], "persisterUs");
    const row = (label: string, places: readonly { median: number }[]) => [label, ...places.map((p) => show(p.median))];
    const heads = [`µs an order, by ${title}`, ...admission.map(({ at }) => show(at.place))];
    parts.push(`${table(heads, [row("engine and Redis", admission), row("persister and Postgres", persister)])}`);
    parts.push(origin(when));
  }
  return parts.length === 0 ? undefined : parts.join("\n\n");
}

function memory({ series }: Kept): string | undefined {
  if (!series.rss) return undefined;
  const { points } = series.rss;
  const most = Math.max(...points.map(({ mb }) => mb));
  const last = points.at(-1);
  return (
    `At most ${show(Math.round(most))} MB, and ${show(Math.round(last?.mb ?? Number.NaN))} MB after ` +
    `${show(Math.round(last?.second ?? Number.NaN))} s. ${origin(series.rss)}`
  );
}

function capacity({ series, figures: kept }: Kept): string | undefined {
  if (!series.processors) return undefined;
  const measured = medians(series.processors.points, ["process"], "usPerOrder");
  const costs = Object.fromEntries(
    PARTS.map((part) => [part, measured.find(({ at }) => at.process === part)?.median ?? Number.NaN]),
  ) as OrderCosts;
  if (PARTS.some((part) => Number.isNaN(costs[part]))) return undefined;
  const rows = RATES.flatMap((rate) => {
    const drained = (rate * PEAK.seconds) / PEAK.finishedWithinSeconds;
    return [
      needs(`${show(rate)}/s, kept up with`, { acceptedPerSecond: rate, finishedPerSecond: rate }, costs),
      needs(`${show(rate)}/s for a minute`, { acceptedPerSecond: rate, finishedPerSecond: drained }, costs),
    ];
  });
  const costRow = PARTS.map((part) => `${part} ${costs[part].toFixed(0)} µs`).join(", ");
  const { busyShare, coresPerNode, postgresCoresMax, coresPerRedis } = ASSUMPTIONS;
  const bytes = kept["memory_live_bytes"]?.median;
  return [
    `Processor time an order, from its acceptance to CONFIRMED, medians: ${costRow}. ${origin(series.processors)}`,
    table(["orders", ...PARTS, "nodes in all"], rows),
    `Processes, and in brackets the nodes they take. Assumed: a process is given ${busyShare * 100} % of a core; nodes of ` +
      `${coresPerNode} cores; a Redis takes ${coresPerRedis} of them, one for its append-only file; for Postgres the cores, on ` +
      `servers of at most ${postgresCoresMax}. Partitions and buyers spread evenly, and cost grows in a straight line. "For a ` +
      `minute" is a peak whose orders are carried to their end within ten. Where Postgres needs more than one server, sales are ` +
      `spread over several databases, each an Onrush of its own: one ledger over several is not what Onrush does. Replicas, ` +
      `load balancers and the payment provider come on top, and networks were not measured.` +
      (bytes === undefined
        ? ""
        : ` A minute at ${show(RATES[2])}/s keeps ${gb(bytes * RATES[2] * PEAK.seconds)} GB in Redis.`),
  ].join("\n\n");
}

function killed({ peersKilled }: Kept): string | undefined {
  if (!peersKilled) return undefined;
  const rows = peersKilled.outcomes.map(({ peer, victim, appendfsync, ...counted }) => [
    `\`${peer}\`: ${VICTIMS[victim]}${victim === "redis" ? `, \`${appendfsync}\`` : ""}`,
    ...[counted.kills, counted.acknowledged, counted.missing, counted.twice, counted.oversold].map(show),
    ...[counted.strayUnits, counted.unanswered].map(show),
    appendfsync === "everysec" ? show(counted.youngMax) : "",
  ]);
  const headings = ["killed", "times", "acknowledged", "missing", "twice", "oversold", "stray units", "unanswered"];
  return `${table([...headings, "younger than 1 s"], rows)}\n\n${origin(peersKilled)}`;
}

function needs(label: string, rates: Parameters<typeof capacityFor>[0], costs: OrderCosts): string[] {
  const parts = capacityFor(rates, costs);
  const nodes = parts.reduce((sum, need) => sum + need.nodes, 0);
  return [label, ...parts.map((need) => `${show(need.processes)} (${need.nodes})`), show(nodes)];
}

function spread({ min, max, rounds, at, loadBefore }: KeptFigure, digits?: number): string[] {
  const one = (value: number) => (digits === undefined ? show(value) : value.toFixed(digits));
  return [rounds === 1 ? "" : `${one(min)} to ${one(max)}`, String(rounds), at.slice(0, 10), String(loadBefore)];
}

function origin({ at, loadBefore }: Origin): string {
  return `Measured on ${at.slice(0, 10)}, load before ${loadBefore}.`;
}

/** Undefined when there are no rows. The first column to the left, the others to the right. */
function table(headings: readonly string[], rows: readonly (readonly string[])[]): string | undefined {
  if (rows.length === 0) return undefined;
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rule = `|${headings.map((_, column) => (column === 0 ? "---" : "---:")).join("|")}|`;
  return [line(headings), rule, ...rows.map(line)].join("\n");
}

function show(value: number): string {
  return Number.isInteger(value) || value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(2);
}

function gb(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(0);
}
