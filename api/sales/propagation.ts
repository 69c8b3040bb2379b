// After the catalogue changed in Postgres: Redis is brought to it, the other processes are told, and this one reloads, so
// that whoever wrote sees the change in the next answer.
import { announceVersion, carrySale } from "../../engine/catalogue/propagation.ts";
import { OnrushError } from "../../engine/errors.ts";
import { partitionName } from "../../engine/keys.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { isRedisAway } from "../http/failures.ts";

export type Propagation = Pick<ApiDependencies, "pool" | "redis" | "engine" | "log">;

/** Tells every process to reload the catalogue; a process that does not hear it polls. */
export async function announceCatalogue({ pool, redis, engine, log }: Propagation): Promise<void> {
  await announceVersion(pool, redis).catch((error: unknown) => {
    if (!isRedisAway(error)) throw error;
    log.warn({ err: error }, "a change of the catalogue could not be announced");
  });
  await engine.catalogue.refresh();
}

/** Brings a sale's window, state, limits and stock to Redis. @returns false when Redis could not take all of it now */
export async function carryToRedis({ pool, engine, log }: Propagation, saleId: string): Promise<boolean> {
  try {
    const complete = await carrySale(pool, engine.stock, saleId);
    // The other processes hear of the stock that came back; the writer's next order must not depend on hearing it too.
    const partitions = engine.catalogue.sale(saleId)?.partitions ?? 0;
    for (let partition = 0; partition < partitions; partition += 1) {
      engine.soldOut.forget(partitionName({ saleId, partition }));
    }
    return complete;
  } catch (error) {
    if (!isRedisAway(error)) throw error;
    log.warn({ err: error, saleId }, "a sale's change is in Postgres and waits for Redis");
    return false;
  }
}

/**
 * Both, for a change that must be in force when it is answered.
 *
 * @throws OnrushError with `STOCK_UNAVAILABLE` when the change is recorded, and Redis does not have it yet
 */
export async function putInForce(deps: Propagation, saleId: string): Promise<void> {
  const complete = await carryToRedis(deps, saleId);
  await announceCatalogue(deps);
  if (!complete) {
    throw new OnrushError("STOCK_UNAVAILABLE", "The change is recorded, and not in force before the stock is back.", {
      saleId,
    });
  }
}
