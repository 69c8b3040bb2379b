// One active persister a partition. The lease only spares double work; that a movement takes effect once is guarded by the
// position in Postgres, so a holder that was frozen and wakes up after a takeover does no harm.
import type { Redis } from "ioredis";
import { type Partition, partitionKeys } from "../engine/keys.ts";
import { runScript } from "../engine/redis/scripts.ts";

/** Takes or keeps the lease for `ttlMs` from now. @returns whether the owner holds it */
export async function holdLease(redis: Redis, at: Partition, owner: string, ttlMs: number): Promise<boolean> {
  return (await runScript(redis, "lease", [partitionKeys(at).lease], [owner, ttlMs])) === 1;
}

/** Gives the lease up, if the owner holds it. */
export async function giveUpLease(redis: Redis, at: Partition, owner: string): Promise<void> {
  await runScript(redis, "lease", [partitionKeys(at).lease], [owner, 0]);
}
