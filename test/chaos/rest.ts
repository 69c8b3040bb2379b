// When a sale is at rest: every order at an end, the log applied, and no money on its way any more. What a payment comes to
// after its order has ended, and what goes back, is waited for too.
import { untilAtRest } from "../../demo/proof/rest.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { heldBackNow } from "./books.ts";
import { until } from "./faults/fault.ts";
import { moneyInMotion } from "./money-books.ts";
import type { System } from "./system.ts";

/** @returns `undefined` at rest; else, after `patienceMs`, what was still in motion */
export async function rest(system: System, saleId: string, patienceMs: number): Promise<string | undefined> {
  const { pool, redis } = system;
  const deadline = performance.now() + patienceMs;
  const left = () => Math.max(0, deadline - performance.now());
  const stock = new PartitionStock(redis, new KnownPositions());
  for (;;) {
    const motion = await untilAtRest({ pool, stock, saleId }, left());
    if (motion !== undefined) return motion;
    const still = async () =>
      (await heldBackNow(system, saleId)) > 0 ? "units are held back" : await moneyInMotion(system, saleId);
    let last = await still();
    if (last === undefined) return undefined;
    const isStill = await until(async () => {
      last = await still().catch(() => "Postgres cannot be asked");
      return last === undefined;
    }, left());
    if (!isStill) return last;
    // What comes back, is revived or refunded is a movement of its own.
  }
}
