// After a change is committed: it is carried to Redis and announced, and the answer says when that has to wait.
import { announceVersion, carrySale } from "../engine/catalogue/propagation.ts";
import type { Servers } from "./servers.ts";
import type { Terminal } from "./terminal.ts";

/** Puts a sale's change in force. When Redis does not take it now, says so and leaves exit code 1: a sweep repeats it. */
export async function putInForce(
  { pool, redis, stock }: Servers,
  saleId: string,
  terminal: Terminal,
): Promise<boolean> {
  let complete = false;
  try {
    complete = await carrySale(pool, stock, saleId);
    await announceVersion(pool, redis);
  } catch (error) {
    terminal.note(`Redis: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!complete) {
    terminal.note("The change is recorded, and not in force before the sale is back in Redis (onrush stock rebuild).");
    process.exitCode = 1;
  }
  return complete;
}
