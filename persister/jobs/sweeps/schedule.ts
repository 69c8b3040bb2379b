// Runs sweeps: each by itself, about once a second, in one worker at a time. An advisory lock of the pass's own transaction
// chooses the worker, so a holder that dies frees it at once and one that freezes is cut off by Postgres within seconds.
// The lock saves work and nothing more: every sweep is safe when two run it.
import type { Redis } from "ioredis";
import type pg from "pg";
import type { Logger } from "../../../engine/log.ts";
import { redisNowMs } from "../../../engine/redis/clock.ts";

export interface Sweep {
  readonly name: string;
  /** One pass. `nowMs` is Redis `TIME`; `signal` asks a long pass to end early. */
  run(nowMs: number, signal: AbortSignal): Promise<void>;
}

export interface ScheduleOptions {
  readonly pool: pg.Pool;
  readonly redis: Redis;
  readonly log: Logger;
  /** From the end of a pass to the next one. */
  readonly intervalMs: number;
}

export interface SweepSchedule {
  /** Resolves when no pass is under way any more. */
  stop(): Promise<void>;
}

/** A pass that is silent for this long has lost its lock. */
const LOCK_IDLE_MS_MAX = 15_000;

/** Starts the sweeps. */
export function scheduleSweeps(sweeps: readonly Sweep[], options: ScheduleOptions): SweepSchedule {
  const stopping = new AbortController();
  const loops = sweeps.map((sweep) => loop(sweep, options, stopping.signal));
  return {
    async stop() {
      stopping.abort();
      await Promise.all(loops);
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
  { pool, redis }: Pick<ScheduleOptions, "pool" | "redis">,
  signal: AbortSignal,
): Promise<boolean> {
  // No deadline is judged by any other clock.
  const nowMs = await redisNowMs(redis);
  const client = await pool.connect();
  let broken: Error | undefined;
  // While the pass works on other connections, this one may be cut off; that must not end the process.
  const onError = (error: Error) => {
    broken = error;
  };
  client.on("error", onError);
  try {
    await client.query("BEGIN");
    await client.query(`SET LOCAL idle_in_transaction_session_timeout = ${LOCK_IDLE_MS_MAX}`);
    const lock = await client.query<{ locked: boolean }>(
      "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS locked",
      [`onrush sweep ${sweep.name}`],
    );
    const locked = lock.rows[0]?.locked === true;
    if (locked) await sweep.run(nowMs, signal);
    return locked;
  } finally {
    await client.query("ROLLBACK").catch((error: Error) => {
      broken = error;
    });
    client.off("error", onError);
    client.release(broken);
  }
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
