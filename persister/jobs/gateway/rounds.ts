// Work that nobody calls for: done in rounds, one after the other, each of which says when the next one is due. Whoever knows
// of something sooner wakes it.
import type { Logger } from "../../../engine/log.ts";

export interface Rounds {
  /** There is something to do in so many milliseconds, if not earlier. */
  wake(inMs: number): void;
  /** Resolves when the round under way is over; none follows. */
  stop(): Promise<void>;
}

/** After a round that failed. */
const PAUSE_MS = 1_000;

/** Starts with a round at once. @param work resolves to the milliseconds until the next round */
export function startRounds(name: string, work: () => Promise<number>, log?: Logger): Rounds {
  let timer: NodeJS.Timeout | undefined;
  let dueAtMs = Number.POSITIVE_INFINITY;
  let underWay: Promise<void> | undefined;
  let stopped = false;

  const plan = (inMs: number) => {
    const atMs = performance.now() + inMs;
    if (stopped || atMs >= dueAtMs) return;
    dueAtMs = atMs;
    // While a round is under way its end sets the timer.
    if (!underWay) setTimer();
  };
  const setTimer = () => {
    clearTimeout(timer);
    timer = setTimeout(
      () => {
        dueAtMs = Number.POSITIVE_INFINITY;
        underWay = round();
      },
      Math.max(0, dueAtMs - performance.now()),
    );
  };
  const round = async () => {
    const nextInMs = await work().catch((error: unknown) => {
      if (!stopped) log?.warn({ err: error }, `${name}: a round failed`);
      return PAUSE_MS;
    });
    underWay = undefined;
    plan(nextInMs);
    if (!stopped && Number.isFinite(dueAtMs)) setTimer();
  };

  plan(0);
  return {
    wake: plan,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await underWay;
    },
  };
}
