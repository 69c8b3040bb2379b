// The audit trail: every action of an operator, by the API or the CLI, with what it changed. It is written on the
// connection of the transaction that does the action, so that there is no action without its record and no record of
// what was rolled back. The table refuses changes (0040_audit.sql).
import type { Queryable } from "./database.ts";

/** What operators do. `subject` is what it is done to, as `kind:id`. */
export const AUDIT_ACTIONS = [
  "product.create",
  "product.update",
  "product.delete",
  "product.import",
  "sale.create",
  "sale.edit",
  "sale.open",
  "sale.pause",
  "sale.close",
  "stock.restock",
  "stock.write_off",
  "stock.rebuild",
  "stock.reconcile",
  "stock.prove",
  "order.cancel",
  "order.refund",
  "order.fulfil",
  "order.honour",
  "dead_letter.replay",
  "dead_letter.discard",
  "job.retry",
  "user.grant",
  "user.revoke",
  "user.erase",
  "wallet.deposit",
  "points.adjust",
  "coupon.create",
  "coupon.close",
  "api_key.create",
  "api_key.revoke",
  "webhook_endpoint.create",
  "webhook_endpoint.update",
  "webhook_endpoint.delete",
  "webhook_endpoint.rotate",
  "webhook_endpoint.test",
  "webhook_endpoint.replay",
  "webhook_endpoint.disable",
  "config.change",
  "config.rollback",
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

export interface AuditRecord {
  /** A member's id, or `cli:` and the name of the account on the machine. */
  readonly actor: string;
  readonly action: AuditAction;
  /** e.g. `sale:summer`, `order:<uuid>`, `product:<uuid>`, `user:cus_...`, `dead-letter:12`. */
  readonly subject: string;
  /** What it was and what it is; JSON. Left out: there was nothing, or there is nothing any more. */
  readonly before?: unknown;
  readonly after?: unknown;
  readonly reason?: string | null | undefined;
}

export interface AuditEntry {
  readonly id: number;
  readonly at: Date;
  readonly actor: string;
  readonly action: AuditAction;
  readonly subject: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly reason: string | null;
}

export const REASON_LENGTH_MAX = 1_000;

/** Appends a record. `db`: the client of the action's own transaction. */
export async function recordAudit(db: Queryable, record: AuditRecord): Promise<void> {
  await db.query(
    `INSERT INTO audit_log (actor, action, subject, before, after, reason)
     VALUES ($1, $2, $3, $4::jsonb, $5::jsonb, $6)`,
    [
      record.actor,
      record.action,
      record.subject,
      toJson(record.before),
      toJson(record.after),
      record.reason ? record.reason.slice(0, REASON_LENGTH_MAX) : null,
    ],
  );
}

export interface AuditFilter {
  readonly subject?: string | undefined;
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
}

/** Records, newest first. `before`: the id after which the page starts. */
export async function listAudit(
  db: Queryable,
  page: AuditFilter & { readonly limit: number; readonly before?: number | undefined },
): Promise<AuditEntry[]> {
  const result = await db.query<AuditEntry>(
    `SELECT id, at, actor, action, subject, before, after, reason FROM audit_log
     WHERE ($1::bigint IS NULL OR id < $1) AND ($2::text IS NULL OR subject = $2) AND ($3::text IS NULL OR actor = $3)
       AND ($4::text IS NULL OR action = $4)
     ORDER BY id DESC LIMIT $5`,
    [page.before ?? null, page.subject ?? null, page.actor ?? null, page.action ?? null, page.limit],
  );
  return result.rows;
}

function toJson(value: unknown): string | null {
  if (value === undefined || value === null) return null;
  // What jsonb does not hold: NUL, and halves of surrogate pairs.
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "string" ? part.replaceAll("\0", "").toWellFormed() : part,
  );
}
