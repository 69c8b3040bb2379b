// Opens the way to a shop's books, waits until the sale rests, and takes the proof.
import { openPool } from "../../engine/ledger/database.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { type Proof, proveSale } from "./proof.ts";
import { untilAtRest } from "./rest.ts";

const COMMAND_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 30_000;
/** A payment ends within 45 s whatever happens to it. */
const REST_MS_MAX = 60_000;

/** @returns the proof, and what still moved when it was taken (`undefined`: nothing) */
export async function judgeSale(
  books: { readonly redisUrl: string; readonly databaseUrl: string },
  saleId: string,
  clients: { readonly acknowledged: readonly string[]; readonly unanswered: number },
): Promise<{ motion: string | undefined; proof: Proof }> {
  const ignore = () => undefined; // broken connections mend themselves; what fails for good is thrown below
  const pool = openPool(
    books.databaseUrl,
    { connectionsMax: 1, applicationName: "onrush-proof", statementTimeoutMs: STATEMENT_TIMEOUT_MS },
    ignore,
  );
  const redis = commandConnection(books.redisUrl, COMMAND_TIMEOUT_MS);
  redis.on("error", ignore);
  try {
    await connect(redis).catch(ignore);
    const subject = { pool, stock: new PartitionStock(redis, new KnownPositions()), saleId };
    const motion = await untilAtRest(subject, REST_MS_MAX);
    const proof = await proveSale({
      ...subject,
      acknowledged: clients.acknowledged,
      unansweredMax: clients.unanswered,
    });
    return { motion, proof };
  } finally {
    redis.disconnect();
    await pool.end();
  }
}
