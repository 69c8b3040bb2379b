// What is measured along something: a curve's points, one a round. The report takes the median of those that are at the same place.
import type { Latencies } from "./load/latencies.ts";

/** What the orders of a curve went through. */
export type LatencyPath = "accept" | "soldout" | "everything";

export interface Series {
  /** At a fixed arrival rate, a share (`load`) of what a closed loop reached in the same run. */
  readonly latency: Latencies & {
    readonly path: LatencyPath;
    readonly load: number;
    readonly perSecond: number;
    /** Of the generator itself. */
    readonly lagP50Ms: number;
    readonly lagP99Ms: number;
    readonly unanswered: number;
  };
  readonly ack: { readonly mode: string; readonly perSecond: number; readonly p50Ms: number; readonly p99Ms: number };
  readonly connections: { readonly connections: number; readonly perSecond: number };
  /** Processor time an order; `skus`: products of the sale, which the orders take in turn. */
  readonly skus: { readonly skus: number; readonly admissionUs: number; readonly persisterUs: number };
  /** The same by the orders that the sale has had. */
  readonly depth: { readonly orders: number; readonly admissionUs: number; readonly persisterUs: number };
  /** Resident memory of the API's process. */
  readonly rss: { readonly second: number; readonly mb: number };
  /** Processor time an order, from its acceptance to CONFIRMED, with everything running. */
  readonly processors: { readonly process: string; readonly usPerOrder: number };
}

export type SeriesName = keyof Series;
export type PointOf<Name extends SeriesName> = Series[Name];
export type Points = { [Name in SeriesName]?: readonly Series[Name][] };
