// Whether a process can do its work now: what `/readyz` answers by, and what each process tells of itself.
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Queryable } from "../ledger/database.ts";

export const HEALTH_CHECKS = ["redis", "postgres", "durability", "catalogue", "accepting"] as const;
/**
 * `redis`, `postgres`: they answer within a second. `durability`: Redis fits `ACK_MODE`. `catalogue`: it is loaded.
 * `accepting`: the process was not told to stop.
 */
export type HealthCheck = (typeof HEALTH_CHECKS)[number];
/** Those that the role has. */
export type HealthChecks = Readonly<Partial<Record<HealthCheck, boolean>>>;

export interface Health {
  /** All checks hold. */
  readonly ready: boolean;
  readonly checks: HealthChecks;
  /** Why one does not, where there is more to say. */
  readonly reason?: string;
}

const CHECK_TIMEOUT_MS = 1_000;

/** Asks both servers, at the same time. */
export async function askServers(redis: Pick<Redis, "ping">, db: Queryable): Promise<HealthChecks> {
  const [redisAnswers, postgresAnswers] = await Promise.all([
    inTime(() => redis.ping()),
    inTime(() => db.query("SELECT 1")),
  ]);
  return { redis: redisAnswers, postgres: postgresAnswers };
}

export function healthOf(checks: HealthChecks, reason?: string): Health {
  return { ready: Object.values(checks).every(Boolean), checks, ...(reason !== undefined && { reason }) };
}

/** Whether the check succeeds within a second. */
export async function inTime(check: () => Promise<unknown>): Promise<boolean> {
  const timeout = new AbortController();
  try {
    return await Promise.race([
      check().then(
        () => true,
        () => false,
      ),
      sleep(CHECK_TIMEOUT_MS, false, { signal: timeout.signal }),
    ]);
  } finally {
    timeout.abort();
  }
}
