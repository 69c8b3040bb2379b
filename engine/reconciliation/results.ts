// What the background reconciler found, in Postgres: the last pass over each partition and the drifts that are open or were.
import { type Partition, partitionName } from "../keys.ts";
import type { Queryable } from "../ledger/database.ts";
import type { Position } from "../movement.ts";
import { type Drift, type DriftKind, describeDrift, fingerprintOf, subjectOf, type Verdict } from "./drift.ts";

/** A pass over one partition. */
export interface PassResult extends Partition {
  readonly verdict: Verdict["type"];
  readonly reason: string | null;
  readonly position: Position | undefined;
  readonly durationMs: number;
  /** Seen by two passes. */
  readonly drifts: readonly Drift[];
  /** Fingerprints that stay open: those of `drifts`, and those that were seen once. `undefined`: nothing can be said. */
  readonly open: ReadonlySet<string> | undefined;
}

export interface RecordedPass extends Partition {
  readonly verdict: Verdict["type"];
  readonly reason: string | null;
  readonly epoch: number | null;
  readonly seq: number | null;
  readonly passes: number;
  readonly durationMs: number;
  readonly at: Date;
  readonly verdictSince: Date;
  readonly ageMs: number;
}

export interface RecordedDrift extends Partition {
  readonly id: number;
  readonly kind: DriftKind;
  readonly subject: string;
  readonly detail: string;
  readonly foundAt: Date;
  readonly seenAt: Date;
  readonly endedAt: Date | null;
}

/** Ended drifts are kept this long. */
const KEPT_DAYS = 90;

/** Notes passes; one statement for all of them. */
export async function recordPasses(db: Queryable, results: readonly PassResult[]): Promise<void> {
  if (results.length === 0) return;
  await db.query({
    name: "record_passes",
    text: `INSERT INTO reconciliations AS r (sale_id, partition, verdict, reason, epoch, seq, duration_ms)
      SELECT * FROM unnest($1::text[], $2::smallint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::float8[])
      ON CONFLICT (sale_id, partition) DO UPDATE SET verdict = EXCLUDED.verdict, reason = EXCLUDED.reason,
        epoch = COALESCE(EXCLUDED.epoch, r.epoch), seq = COALESCE(EXCLUDED.seq, r.seq), passes = r.passes + 1,
        duration_ms = EXCLUDED.duration_ms, at = now(),
        verdict_since = CASE WHEN r.verdict = EXCLUDED.verdict THEN r.verdict_since ELSE now() END`,
    values: [
      results.map((of) => of.saleId),
      results.map((of) => of.partition),
      results.map((of) => of.verdict),
      results.map((of) => of.reason),
      results.map((of) => of.position?.epoch ?? null),
      results.map((of) => of.position?.seq ?? null),
      results.map((of) => of.durationMs),
    ],
  });
}

/** Opens and ends a partition's drifts. @returns those that were not open before, and how many ended */
export async function recordDrifts(
  db: Queryable,
  { saleId, partition, drifts, open }: PassResult,
): Promise<{ opened: Drift[]; ended: number }> {
  const byFingerprint = new Map(drifts.map((drift) => [fingerprintOf(drift), drift]));
  const values = [...byFingerprint];
  const inserted = await db.query<{ fingerprint: string; isNew: boolean }>(
    `INSERT INTO drifts (sale_id, partition, kind, subject, fingerprint, detail)
     SELECT $1, $2, n.* FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) AS n(kind, subject, fingerprint, detail)
     ON CONFLICT (sale_id, partition, fingerprint) WHERE ended_at IS NULL DO UPDATE SET seen_at = now()
     RETURNING fingerprint, xmax = 0 AS "isNew"`,
    [
      saleId,
      partition,
      values.map(([, drift]) => drift.kind),
      values.map(([, drift]) => subjectOf(drift)),
      values.map(([fingerprint]) => fingerprint),
      values.map(([, drift]) => describeDrift(drift)),
    ],
  );
  const ended = open
    ? await db.query(
        `UPDATE drifts SET ended_at = now()
         WHERE sale_id = $1 AND partition = $2 AND ended_at IS NULL AND fingerprint <> ALL($3::text[])`,
        [saleId, partition, [...open]],
      )
    : undefined;
  const opened = inserted.rows.flatMap(({ fingerprint, isNew }) => {
    const drift = byFingerprint.get(fingerprint);
    return isNew && drift ? [drift] : [];
  });
  return { opened, ended: ended?.rowCount ?? 0 };
}

/** Partitions that have open drifts. */
export async function listDrifting(db: Queryable): Promise<Set<string>> {
  const result = await db.query<Partition>(
    `SELECT DISTINCT sale_id AS "saleId", partition FROM drifts WHERE ended_at IS NULL`,
  );
  return new Set(result.rows.map(partitionName));
}

export async function forgetEndedDrifts(db: Queryable): Promise<void> {
  await db.query("DELETE FROM drifts WHERE ended_at < now() - $1 * interval '1 day'", [KEPT_DAYS]);
}

/** The last pass over each partition. */
export async function listPasses(db: Queryable): Promise<RecordedPass[]> {
  const result = await db.query<RecordedPass>(
    `SELECT sale_id AS "saleId", partition, verdict, reason, epoch, seq, passes, duration_ms AS "durationMs", at,
       verdict_since AS "verdictSince", (extract(epoch FROM clock_timestamp() - at) * 1000)::float8 AS "ageMs"
     FROM reconciliations ORDER BY sale_id, partition`,
  );
  return result.rows;
}

/** Open drifts of each kind. */
export async function countOpenDrifts(db: Queryable): Promise<(Partition & { kind: DriftKind; count: number })[]> {
  const result = await db.query<Partition & { kind: DriftKind; count: number }>(
    `SELECT sale_id AS "saleId", partition, kind, count(*) AS count FROM drifts WHERE ended_at IS NULL GROUP BY 1, 2, 3`,
  );
  return result.rows;
}

/** Drifts, newest first. `before`: the id after which the page starts. */
export async function listDrifts(
  db: Queryable,
  page: { readonly open: boolean | undefined; readonly limit: number; readonly before?: number | undefined },
): Promise<RecordedDrift[]> {
  const result = await db.query<RecordedDrift>(
    `SELECT id, sale_id AS "saleId", partition, kind, subject, detail, found_at AS "foundAt", seen_at AS "seenAt",
       ended_at AS "endedAt"
     FROM drifts WHERE ($1::bigint IS NULL OR id < $1) AND ($2::boolean IS NULL OR (ended_at IS NULL) = $2)
     ORDER BY id DESC LIMIT $3`,
    [page.before ?? null, page.open ?? null, page.limit],
  );
  return result.rows;
}
