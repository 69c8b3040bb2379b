// How far a queue is behind, read from pg-boss' own table.
import type { Queryable } from "../ledger/database.ts";
import type { QueueName } from "./queues.ts";

/** Whether a job that may run has waited for longer than `waitMs`: what looks lost may then only be queued. */
export async function isQueueBehind(db: Queryable, queue: QueueName, waitMs: number): Promise<boolean> {
  const result = await db.query<{ behind: boolean }>(
    `SELECT EXISTS (SELECT FROM pgboss.job WHERE name = $1 AND state < 'active' AND NOT blocked
       AND start_after < now() - $2 * interval '1 millisecond') AS behind`,
    [queue, waitMs],
  );
  return result.rows[0]?.behind === true;
}
