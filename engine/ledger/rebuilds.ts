// Rebuilds that operators ask for over the API: the request, and the report of whoever carried it out.
import type { Partition } from "../keys.ts";
import type { Position } from "../movement.ts";
import type { Queryable } from "./database.ts";
import type { RebuiltStock } from "./recovery.ts";

/** What the rebuild of one partition would do, or has done. Units by product. */
export interface PartitionReport extends Partition {
  /** Where Postgres stands, after what survives of the log was applied. */
  readonly from: Position;
  /** Movements of the old log that were applied on the way. */
  readonly survivors: number;
  /** Acknowledged numbers that are gone; left out: none. */
  readonly lost?: { readonly fromSeq: number; readonly toSeq: number };
  readonly heldBack: Readonly<Record<string, number>>;
  readonly holds: number;
  readonly stock: readonly RebuiltStock[];
  /** The new epoch; left out of a plan. */
  readonly epoch?: number;
}

export const REBUILD_STATES = ["queued", "done", "failed"] as const;

export interface Rebuild {
  readonly id: string;
  readonly saleId: string;
  readonly apply: boolean;
  readonly actor: string;
  readonly state: (typeof REBUILD_STATES)[number];
  /** One a partition; of a failed one, those that were done before. */
  readonly reports: readonly PartitionReport[];
  readonly error: string | null;
  readonly requestedAt: Date;
  readonly endedAt: Date | null;
}

const COLUMNS = `id, sale_id AS "saleId", apply, actor, state, reports, error, requested_at AS "requestedAt",
  ended_at AS "endedAt"`;

export async function requestRebuild(
  db: Queryable,
  request: Pick<Rebuild, "id" | "saleId" | "apply" | "actor">,
): Promise<void> {
  await db.query("INSERT INTO rebuilds (id, sale_id, apply, actor) VALUES ($1, $2, $3, $4)", [
    request.id,
    request.saleId,
    request.apply,
    request.actor,
  ]);
}

export async function findRebuild(db: Queryable, id: string): Promise<Rebuild | undefined> {
  const result = await db.query<Rebuild>(`SELECT ${COLUMNS} FROM rebuilds WHERE id = $1`, [id]);
  return result.rows[0];
}

/** A sale's rebuilds, newest first. `before`: the id after which the page starts. */
export async function listRebuilds(db: Queryable, saleId: string, limit: number, before?: string): Promise<Rebuild[]> {
  const result = await db.query<Rebuild>(
    `SELECT ${COLUMNS} FROM rebuilds r WHERE r.sale_id = $1
       AND ($2::uuid IS NULL OR (r.requested_at, r.id) < (SELECT b.requested_at, b.id FROM rebuilds b WHERE b.id = $2))
     ORDER BY r.requested_at DESC, r.id DESC LIMIT $3`,
    [saleId, before ?? null, limit],
  );
  return result.rows;
}

/** Takes the oldest request that nobody is at, within a transaction that lasts as long as the work. */
export async function takeRebuild(db: Queryable): Promise<(Rebuild & { readonly ageMs: number }) | undefined> {
  const result = await db.query<Rebuild & { ageMs: number }>(
    `SELECT ${COLUMNS}, (extract(epoch FROM now() - requested_at) * 1000)::float8 AS "ageMs" FROM rebuilds
     WHERE state = 'queued' ORDER BY requested_at LIMIT 1 FOR UPDATE SKIP LOCKED`,
  );
  return result.rows[0];
}

/** @param error why it failed; left out: it is done */
export async function endRebuild(
  db: Queryable,
  id: string,
  reports: readonly PartitionReport[],
  error?: string,
): Promise<void> {
  await db.query(
    `UPDATE rebuilds SET state = CASE WHEN $3::text IS NULL THEN 'done' ELSE 'failed' END, reports = $2, error = $3,
       ended_at = clock_timestamp() WHERE id = $1`,
    [id, JSON.stringify(reports), error ?? null],
  );
}
