// Runs sweeps: each by itself, about once a second, in one worker at a time (locks.ts).
import type { Redis } from "ioredis";
import type { Logger } from "../../../engine/log.ts";
import { redisNowMs } from "../../../engine/redis/clock.ts";
import type { SweepLocks } from "./locks.ts";

export interface Sweep {
  readonly name: string;
  /** One pass. `nowMs` is Redis `TIME`; `signal` asks a long pass to end early. */
  run(nowMs: number, signal: AbortSignal): Promise<void>;
}

/** A sweep that passes while something is paused. */
export function unless(isPaused: () => boolean, sweep: Sweep): Sweep {
  return {
    name: sweep.name,
    async run(nowMs, signal) {
      if (!isPaused()) await sweep.run(nowMs, signal);
    },
  };
}

export interface ScheduleOptions {
  /** Closed when the sweeps are stopped. */
  readonly locks: SweepLocks;
  readonly redis: Redis;
  readonly log: Logger;
  /** From the end of a pass to the next one. */
  readonly intervalMs: number;
}

export interface SweepSchedule {
  /** Resolves when no pass is under way any more. */
  stop(): Promise<void>;
}

/** Starts the sweeps. */
export function scheduleSweeps(sweeps: readonly Sweep[], options: ScheduleOptions): SweepSchedule {
  const stopping = new AbortController();
  const loops = sweeps.map((sweep) => loop(sweep, options, stopping.signal));
  return {
    async stop() {
      stopping.abort();
      await Promise.all(loops);
      await options.locks.close();
    },
  };
}

async function loop(sweep: Sweep, options: ScheduleOptions, signal: AbortSignal): Promise<void> {
  let failing = false;
  while (!signal.aborted) {
    try {
      await runOnce(sweep, options, signal);
      if (failing) options.log.info({ sweep: sweep.name }, "sweep works again");
      failing = false;
    } catch (error) {
      // Said once an outage: it comes back every second.
      if (!failing) options.log.warn({ err: error, sweep: sweep.name }, "sweep failed; it is tried again");
      failing = true;
    }
    await pause(options.intervalMs, signal);
  }
}

/** One pass, unless another worker is at it. @returns whether it ran; @throws when Redis' clock cannot be read */
export async function runOnce(
  sweep: Sweep,
  { locks, redis }: Pick<ScheduleOptions, "locks" | "redis">,
  signal: AbortSignal,
): Promise<boolean> {
  // No deadline is judged by any other clock.
  const nowMs = await redisNowMs(redis);
  return locks.withLock(sweep.name, () => sweep.run(nowMs, signal));
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done, { once: true });
  });
}
