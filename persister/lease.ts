// One active persister a partition. The lease only spares double work; that a movement takes effect once is guarded by the
// position in Postgres, so a holder that was frozen and wakes up after a takeover does no harm. A holder that was killed is
// not waited for, where its successor runs on the same machine and sees that it is gone.
import type { Redis } from "ioredis";
import { type Partition, partitionKeys } from "../engine/keys.ts";
import { isGone } from "../engine/process-identity.ts";
import { runScript } from "../engine/redis/scripts.ts";

/**
 * Takes or keeps the lease for `ttlMs` from now.
 *
 * @param owner a {@link holderName}
 * @returns whether the owner holds it
 */
export async function holdLease(redis: Redis, at: Partition, owner: string, ttlMs: number): Promise<boolean> {
  const keys = [partitionKeys(at).lease];
  const holder = await runScript(redis, "lease", keys, [owner, ttlMs]);
  if (holder === 1) return true;
  const name = String(holder);
  return isGone(name) && (await runScript(redis, "lease", keys, [owner, ttlMs, name])) === 1;
}

/** Gives the lease up, if the owner holds it. */
export async function giveUpLease(redis: Redis, at: Partition, owner: string): Promise<void> {
  await runScript(redis, "lease", [partitionKeys(at).lease], [owner, 0]);
}
