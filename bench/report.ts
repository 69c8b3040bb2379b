// What a run says: a table for people, one JSON object for programs.
import type { Context } from "./context.ts";
import { CEILINGS, CONFIRMED_BUDGET, FIGURES, type Figure, RATIOS, type RatioName } from "./figures.ts";
import type { Killed } from "./groups/peers-killed.ts";
import type { Machine } from "./machine.ts";
import type { Spread } from "./statistics.ts";

/** A generator this busy was the bound: what it measured is itself. */
const GENERATOR_BOUND = 0.9;

/** The object of `--json` and of the results file. */
export function asJson(context: Context, machine: Machine, startedAt: Date, seconds: number) {
  const figures = figuresOf(context);
  const ratios = ratiosOf(context);
  return {
    ...Object.fromEntries(figures.map(([name, { median }]) => [name, rounded(median)])),
    ratios: Object.fromEntries(ratios.map(([name, { median }]) => [name, Number(median.toFixed(3))])),
    ...context.faults,
    machine,
    spread: {
      ...Object.fromEntries(figures.map(([name, { samples }]) => [name, samples.map(rounded)])),
      ratios: Object.fromEntries(
        ratios.map(([name, { samples }]) => [name, samples.map((ratio) => Number(ratio.toFixed(3)))]),
      ),
    },
    series: context.points,
    cpu: costsOf(context),
    ...(context.killed.length > 0 && { peersKilled: context.killed }),
    options: { ...context.options, only: [...context.options.only] },
    startedAt: startedAt.toISOString(),
    seconds: Math.round(seconds),
  };
}

export function asTable(context: Context, machine: Machine): string {
  const figures = figuresOf(context).map(([name, { median, min, max }]) => {
    const { label, unit } = FIGURES[name];
    return [label, show(median), unit, `${show(min)} to ${show(max)}`, markOf(name, median)];
  });
  const ratios = ratiosOf(context).map(([name, { median, min, max }]) => {
    const { label, floor, target } = RATIOS[name];
    const spread = `${min.toFixed(2)} to ${max.toFixed(2)}`;
    return [label, median.toFixed(2), spread, String(floor), String(target), mark(median, floor, target)];
  });
  const costs = costsOf(context).map(({ scenario, serverCpuUs, generatorCpuUs, generatorBusy }) => [
    scenario,
    serverCpuUs === null ? "?" : serverCpuUs.toFixed(1),
    generatorCpuUs.toFixed(1),
    `${Math.round(generatorBusy * 100)} %${generatorBusy > GENERATOR_BOUND ? " the bound" : ""}`,
  ]);
  const { cores, cpu, memoryGb, loadBefore, versions } = machine;
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${cores} cores (${cpu}), ${memoryGb} GB, ${named.join(", ")}; load before ${loadBefore}`,
    figures.length === 0 ? undefined : aligned(["", "median", "", "spread", ""], figures),
    ratios.length === 0 ? undefined : aligned(["ratio", "median", "spread", "floor", "target", ""], ratios),
    costs.length === 0
      ? undefined
      : aligned(["processor time", "server us/req", "generator us/req", "generator busy"], costs),
    context.killed.length === 0 ? undefined : aligned(KILLED_HEADINGS, context.killed.map(killedRow)),
    "oversold 0, lost 0, duplicated 0",
  ]
    .filter((part) => part !== undefined)
    .join("\n\n");
}

const KILLED_HEADINGS = [
  "killed",
  "times",
  "acknowledged",
  "missing",
  "twice",
  "oversold",
  "stray units",
  "unanswered",
];

function killedRow({ peer, victim, appendfsync, ...counted }: Killed): string[] {
  const { kills, acknowledged, missing, twice, oversold, strayUnits, unanswered } = counted;
  return [
    `${peer}: ${victim}${victim === "redis" ? `, ${appendfsync}` : ""}`,
    ...[kills, acknowledged, missing, twice, oversold, strayUnits, unanswered].map(String),
  ];
}

function figuresOf({ measurements }: Context): [Figure, Spread][] {
  return (Object.keys(FIGURES) as Figure[]).flatMap((name) => {
    const spread = measurements.figure(name);
    return spread ? [[name, spread] as [Figure, Spread]] : [];
  });
}

function ratiosOf({ measurements }: Context): [RatioName, Spread][] {
  return (Object.keys(RATIOS) as RatioName[]).flatMap((name) => {
    const spread = measurements.ratio(RATIOS[name]);
    return spread ? [[name, spread] as [RatioName, Spread]] : [];
  });
}

/** Means over a scenario's bursts. */
function costsOf({ costs }: Context) {
  return [...new Set(costs.map(({ scenario }) => scenario))].map((scenario) => {
    const own = costs.filter((cost) => cost.scenario === scenario);
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const server = own.flatMap(({ serverCpuUs }) => (serverCpuUs === null ? [] : [serverCpuUs]));
    return {
      scenario,
      serverCpuUs: server.length === 0 ? null : rounded(mean(server)),
      generatorCpuUs: rounded(mean(own.map(({ generatorCpuUs }) => generatorCpuUs))),
      generatorBusy: Number(mean(own.map(({ generatorBusy }) => generatorBusy)).toFixed(2)),
    };
  });
}

function markOf(name: Figure, median: number): string {
  const ceiling = CEILINGS[name];
  if (ceiling) {
    const { floor, target } = ceiling;
    const reached = median <= target ? "++ target" : median <= floor ? "+ floor" : "- above";
    return `${reached} (floor ${floor}, target ${target})`;
  }
  if (name !== "confirmed_ops" && name !== "sustained_ops") return "";
  const { floor, target } = CONFIRMED_BUDGET;
  return `${mark(median, floor, target)} (floor ${floor}, target ${target})`;
}

function mark(value: number, floor: number, target: number): string {
  if (value >= target) return "++ target";
  return value >= floor ? "+ floor" : "- below";
}

function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toFixed(2));
}

function show(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(2);
}

/** First column to the left, the others to the right, up to a last one without a heading. */
function aligned(headings: string[], rows: string[][]): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  const isText = (column: number) => column === 0 || headings[column] === "";
  return all
    .map((row) =>
      row
        .map((cell, column) => (isText(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
