// The job queues as an operator sees them, read from pg-boss' own table, and the second chance for jobs that failed.
import type pg from "pg";
import { recordAudit } from "../ledger/audit.ts";
import { type Queryable, transaction } from "../ledger/database.ts";
import { QUEUES, type QueueName } from "./queues.ts";

export const JOB_STATES = ["created", "retry", "active", "completed", "cancelled", "failed"] as const;
export type JobState = (typeof JOB_STATES)[number];

export const QUEUE_NAMES = Object.keys(QUEUES) as readonly QueueName[];

export interface QueueCounts {
  readonly queue: QueueName;
  /** Jobs that wait, are worked on, and have failed for good. */
  readonly waiting: number;
  readonly active: number;
  readonly failed: number;
  /** How long the oldest that may run has waited. */
  readonly oldestWaitingSeconds: number | null;
}

export interface Job {
  readonly id: string;
  readonly queue: QueueName;
  readonly state: JobState;
  readonly retries: number;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
  readonly data: unknown;
  /** What it failed with. */
  readonly output: unknown;
}

export async function countJobs(db: Queryable): Promise<QueueCounts[]> {
  const result = await db.query<QueueCounts>(
    `SELECT q.queue, count(j.id) FILTER (WHERE j.state < 'active')::int AS waiting,
       count(j.id) FILTER (WHERE j.state = 'active')::int AS active,
       count(j.id) FILTER (WHERE j.state = 'failed')::int AS failed,
       extract(epoch FROM now() - min(j.start_after) FILTER (WHERE j.state < 'active' AND j.start_after <= now()))::float8
         AS "oldestWaitingSeconds"
     FROM unnest($1::text[]) WITH ORDINALITY AS q(queue, position) LEFT JOIN pgboss.job j ON j.name = q.queue
     GROUP BY q.queue, q.position ORDER BY q.position`,
    [QUEUE_NAMES],
  );
  return result.rows;
}

/** Jobs, newest first. */
export async function listJobs(
  db: Queryable,
  filter: { queue?: QueueName | undefined; state?: JobState | undefined; limit: number },
): Promise<Job[]> {
  const result = await db.query<Job>(
    `SELECT id, name AS queue, state, retry_count AS retries, created_on AS "createdAt", completed_on AS "endedAt", data,
       output
     FROM pgboss.job WHERE name = ANY($1::text[]) AND ($2::text IS NULL OR state::text = $2)
     ORDER BY created_on DESC, id LIMIT $3`,
    [filter.queue ? [filter.queue] : QUEUE_NAMES, filter.state ?? null, filter.limit],
  );
  return result.rows;
}

/** Lets failed jobs run once more: these, or all of a queue or of every queue. @returns the ids of those that will */
export async function retryJobs(
  pool: pg.Pool,
  chosen: { readonly ids?: readonly string[]; readonly queue?: QueueName | undefined },
  actor: string,
): Promise<string[]> {
  return await transaction(pool, async (client) => {
    // As pg-boss' own retry, of several queues in one transaction with the record of it.
    const result = await client.query<{ id: string; queue: string }>(
      `UPDATE pgboss.job SET state = 'retry', retry_limit = retry_limit + 1, completed_on = NULL
       WHERE state = 'failed' AND name = ANY($1::text[]) AND ($2::uuid[] IS NULL OR id = ANY($2)) RETURNING id, name AS queue`,
      [chosen.queue ? [chosen.queue] : QUEUE_NAMES, chosen.ids ?? null],
    );
    for (const [queue, jobs] of Map.groupBy(result.rows, (row) => row.queue)) {
      const after = { jobs: jobs.map(({ id }) => id) };
      await recordAudit(client, { actor, action: "job.retry", subject: `queue:${queue}`, after });
    }
    return result.rows.map(({ id }) => id);
  });
}
