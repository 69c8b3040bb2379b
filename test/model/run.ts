// Runs sequences in lanes side by side. Every lane draws from a seed of its own, that of the run plus the lane's number,
// so that one lane alone replays what it found.
import fc from "fast-check";
import { type Lane, openLane } from "./lane.ts";
import { runSequence } from "./sequence.ts";
import { type Step, sequence } from "./steps.ts";

export interface RunOptions {
  readonly sequences: number;
  readonly seed: number;
  /** Replays one counterexample of a lane, as its failure named it. */
  readonly path?: string | undefined;
  /** How long a shorter disagreement is looked for; the shortest of those found until then is told. */
  readonly shrinkMs: number;
  /** A database a lane. */
  readonly databaseUrls: readonly string[];
  readonly redisUrl: string;
  readonly onProgress?: (done: number) => void;
  /** Told of the first disagreement, before a shorter sequence is looked for. */
  readonly onDisagreement?: (error: unknown, steps: readonly Step[]) => void;
}

export interface RunResult {
  readonly agreed: number;
  /** The shortest disagreement of each lane that found one, with how to see it again. */
  readonly failures: readonly { readonly seed: number; readonly path: string | null; readonly report: string }[];
  readonly seen: ReadonlyMap<string, number>;
}

export async function runSequences(options: RunOptions): Promise<RunResult> {
  const { sequences, seed, path, databaseUrls, redisUrl } = options;
  const lanes = await Promise.all(databaseUrls.map((url, i) => openLane(url, redisUrl, `m${i}`)));
  const seen = new Map<string, number>();
  let agreed = 0;
  let failing: { readonly lane: number; readonly shrinkUntil: number } | undefined;
  const runLane = async (lane: Lane, i: number) => {
    const numRuns = Math.ceil((sequences - i) / lanes.length);
    if (numRuns < 1) return undefined;
    const property = fc.asyncProperty(sequence, async (steps) => {
      // Once a lane has found something, it alone goes on, to find the shortest sequence that shows it.
      if (failing && (failing.lane !== i || performance.now() > failing.shrinkUntil)) return;
      try {
        for (const [what, times] of await runSequence(lane, steps)) seen.set(what, (seen.get(what) ?? 0) + times);
      } catch (error) {
        if (!failing) options.onDisagreement?.(error, steps);
        failing ??= { lane: i, shrinkUntil: performance.now() + options.shrinkMs };
        lane.abandon();
        throw error;
      }
      if (failing) return;
      agreed += 1;
      options.onProgress?.(agreed);
    });
    return await fc.check(property, { seed: seed + i, numRuns, ...(path !== undefined && { path }) });
  };
  try {
    const all = await Promise.all(lanes.map(runLane));
    const failed = all.filter((details) => details?.failed === true);
    return {
      agreed,
      seen,
      failures: failed.map((details) => ({
        seed: details?.seed ?? seed,
        path: details?.counterexamplePath ?? null,
        report: [details && fc.defaultReportMessage(details), String(details?.errorInstance)].join("\n"),
      })),
    };
  } finally {
    await Promise.all(lanes.map((lane) => lane.stop()));
  }
}
