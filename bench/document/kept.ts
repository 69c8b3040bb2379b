// What docs/BENCHMARKS.md is made from: docs/benchmarks/figures.json, in which the results of runs are kept, the newest of each
// figure and curve, with the day and the load of the machine before the run. Nothing in the document is copied by hand.
import type { Figure } from "../figures.ts";
import type { Killed } from "../groups/peers-killed.ts";
import type { Machine } from "../machine.ts";
import type { Points } from "../series.ts";
import { spreadOf } from "../statistics.ts";

/** When something was measured. */
export interface Origin {
  /** ISO 8601. */
  readonly at: string;
  /** Of the machine before the run: above 1 on few cores, others were measured too. */
  readonly loadBefore: number;
}

export interface KeptFigure extends Origin {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

type KeptFigures = Readonly<Record<string, KeptFigure>>;

export interface Kept {
  readonly machine: Machine;
  readonly figures: KeptFigures;
  readonly ratios: KeptFigures;
  readonly series: { readonly [Name in keyof Points]?: Origin & { readonly points: NonNullable<Points[Name]> } };
  readonly peersKilled?: Origin & { readonly outcomes: readonly Killed[] };
}

/** The part of a results file that is kept. */
export interface Result {
  readonly machine: Machine;
  readonly startedAt: string;
  readonly oversold: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly spread: { readonly [Name in Figure]?: readonly number[] } & {
    readonly ratios: Readonly<Record<string, readonly number[]>>;
  };
  readonly series?: Points;
  readonly peersKilled?: readonly Killed[];
}

/** What was kept with a result over it. @throws when the result's books are wrong */
export function keep(kept: Kept | undefined, result: Result): Kept {
  if (result.oversold !== 0 || result.lost !== 0 || result.duplicated !== 0) {
    throw new Error(`the books of ${result.startedAt} are wrong, so it has no figures`);
  }
  const origin: Origin = { at: result.startedAt, loadBefore: result.machine.loadBefore };
  const { ratios, ...figures } = result.spread;
  const series = Object.entries(result.series ?? {}).map(([name, points]) => [name, { ...origin, points }]);
  const killed = result.peersKilled ? { ...origin, outcomes: result.peersKilled } : kept?.peersKilled;
  return {
    machine: { ...result.machine, versions: { ...kept?.machine.versions, ...result.machine.versions } },
    figures: { ...kept?.figures, ...spreads(figures, origin) },
    ratios: { ...kept?.ratios, ...spreads(ratios, origin) },
    series: { ...kept?.series, ...Object.fromEntries(series) },
    ...(killed && { peersKilled: killed }),
  };
}

function spreads(samples: Readonly<Record<string, readonly number[]>>, origin: Origin): KeptFigures {
  return Object.fromEntries(
    Object.entries(samples).flatMap(([name, values]) => {
      const spread = spreadOf(values);
      if (!spread) return [];
      const { median, min, max } = spread;
      return [[name, { median, min, max, rounds: values.length, ...origin }]];
    }),
  );
}

/** Medians of the points at each place of a curve: those that agree in `by`. */
export function medians<Point extends object, Key extends keyof Point>(
  points: readonly Point[],
  by: readonly Key[],
  of: keyof Point,
): { readonly at: Pick<Point, Key>; readonly median: number }[] {
  const places = new Map<string, Point[]>();
  for (const point of points) {
    const place = JSON.stringify(by.map((key) => point[key]));
    places.set(place, [...(places.get(place) ?? []), point]);
  }
  return [...places.values()].map((own) => {
    const median = spreadOf(own.map((point) => Number(point[of])))?.median ?? Number.NaN;
    const [first] = own as [Point];
    return { at: Object.fromEntries(by.map((key) => [key, first[key]])) as Pick<Point, Key>, median };
  });
}

export interface CostCurve extends Origin {
  readonly title: string;
  readonly points: readonly { readonly place: number; readonly admissionUs: number; readonly persisterUs: number }[];
}

/** What an order costs by the size of its sale, smallest first. */
export function costCurves({ series: { depth, skus } }: Pick<Kept, "series">): CostCurve[] {
  const curves: CostCurve[] = [];
  if (depth) {
    const points = depth.points.map(({ orders, ...cost }) => ({ place: orders, ...cost }));
    curves.push({ ...depth, title: "orders in its sale", points });
  }
  if (skus) {
    const points = skus.points.map(({ skus: place, ...cost }) => ({ place, ...cost }));
    curves.push({ ...skus, title: "products in its sale", points });
  }
  return curves.map((curve) => ({ ...curve, points: curve.points.toSorted((a, b) => a.place - b.place) }));
}
