// How long things took, as an HDR histogram: microseconds up to a minute, three significant digits, whatever their number.
import { build } from "hdr-histogram-js";

export interface Latencies {
  readonly samples: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

const US_MAX = 60_000_000;

export interface LatencyRecorder {
  /** What is longer than a minute counts as a minute. */
  record(ms: number): void;
  latencies(): Latencies;
}

export function latencyRecorder(): LatencyRecorder {
  const histogram = build({ bitBucketSize: 32, highestTrackableValue: US_MAX, numberOfSignificantValueDigits: 3 });
  const at = (percentile: number) => histogram.getValueAtPercentile(percentile) / 1_000;
  return {
    record: (ms) => histogram.recordValue(Math.min(US_MAX, Math.max(0, Math.round(ms * 1_000)))),
    latencies: () => ({
      samples: histogram.totalCount,
      p50Ms: at(50),
      p90Ms: at(90),
      p99Ms: at(99),
      p999Ms: at(99.9),
      maxMs: histogram.maxValue / 1_000,
    }),
  };
}
