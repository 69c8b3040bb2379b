// Coupons in Postgres.
import type { Queryable } from "../ledger/database.ts";
import type { Coupon } from "./coupon.ts";

const COLUMNS = `c.id, c.code, c.amount, c.percent, c.maximum, c.minimum_price AS "minimumPrice", c.currency,
  c.uses AS "limit", c.per_member_limit AS "perMemberLimit", c.valid_from AS "validFrom", c.valid_until AS "validUntil",
  c.created_at AS "createdAt", c.closed_at AS "closedAt",
  (SELECT json_agg(i.sale_id ORDER BY i.position) FROM sale_items i WHERE i.product_id = c.id) AS "saleIds"`;

/** The coupon of a code in upper case, and the catalogue's version that the database had when it was read. */
export async function findCouponAsOf(
  db: Queryable,
  code: string,
): Promise<{ readonly catalogue: number; readonly coupon: Coupon | undefined }> {
  const result = await db.query<Coupon & { catalogue: number }>(
    `SELECT s.version AS catalogue, c.* FROM catalogue_state s LEFT JOIN (SELECT ${COLUMNS} FROM coupons c WHERE c.code = $1) c ON true`,
    [code],
  );
  const { catalogue = 0, ...coupon } = result.rows[0] ?? {};
  return { catalogue, coupon: "id" in coupon && coupon.id !== null ? (coupon as Coupon) : undefined };
}

export async function findCoupon(db: Queryable, code: string): Promise<Coupon | undefined> {
  const result = await db.query<Coupon>(`SELECT ${COLUMNS} FROM coupons c WHERE c.code = $1`, [code]);
  return result.rows[0];
}

/** Coupons in the order they were made. `after`: the last one of the page before. */
export async function listCoupons(
  db: Queryable,
  page: { readonly limit: number; readonly after?: Pick<Coupon, "createdAt" | "id"> | undefined },
): Promise<Coupon[]> {
  const result = await db.query<Coupon>(
    `SELECT ${COLUMNS} FROM coupons c
     WHERE $1::timestamptz IS NULL OR (date_trunc('milliseconds', c.created_at), c.id) > ($1, $2::uuid)
     ORDER BY date_trunc('milliseconds', c.created_at), c.id LIMIT $3`,
    [page.after?.createdAt ?? null, page.after?.id ?? null, page.limit],
  );
  return result.rows;
}

/** Makes the coupon and its product, and offers it in its sales. @returns false when there is one of this code */
export async function insertCoupon(
  db: Queryable,
  coupon: Omit<Coupon, "createdAt" | "closedAt"> & { readonly productCurrency: string },
  actor: string,
): Promise<boolean> {
  const { id, code, currency, productCurrency, amount, percent, maximum, minimumPrice, limit, perMemberLimit } = coupon;
  const taken = await db.query("SELECT FROM coupons WHERE code = $1", [code]);
  if (taken.rowCount !== 0) return false;
  await db.query(
    `INSERT INTO products (id, name, price, currency, kind, deleted_at) VALUES ($1, $2, 0, $3, 'coupon', now())`,
    [id, code, productCurrency],
  );
  const inserted = await db.query(
    `INSERT INTO coupons (id, code, amount, percent, maximum, minimum_price, currency, uses, per_member_limit, valid_from,
       valid_until, created_by)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (code) DO NOTHING`,
    [
      ...[id, code, amount, percent, maximum, minimumPrice, currency, limit, perMemberLimit],
      ...[coupon.validFrom, coupon.validUntil, actor],
    ],
  );
  if (inserted.rowCount === 0) return false;
  await db.query(
    `INSERT INTO sale_items (sale_id, product_id, price, per_customer_limit)
     SELECT sale_id, $1, 0, $3 FROM unnest($2::text[]) WITH ORDINALITY AS of (sale_id, n) ORDER BY n`,
    [id, coupon.saleIds, perMemberLimit],
  );
  return true;
}

/** Closes a coupon; one that is closed stays as it is. @returns it, and whether it was open */
export async function closeCoupon(
  db: Queryable,
  code: string,
): Promise<{ readonly coupon: Coupon; readonly wasOpen: boolean } | undefined> {
  const before = await db.query<{ wasOpen: boolean }>(
    `SELECT closed_at IS NULL AS "wasOpen" FROM coupons WHERE code = $1 FOR UPDATE`,
    [code],
  );
  const wasOpen = before.rows[0]?.wasOpen;
  if (wasOpen === undefined) return undefined;
  if (wasOpen) await db.query("UPDATE coupons SET closed_at = clock_timestamp() WHERE code = $1", [code]);
  const coupon = await findCoupon(db, code);
  return coupon && { coupon, wasOpen };
}

/** What one member may use of each coupon of a sale, by the coupon's product; 0: any number. */
export async function listCouponLimits(
  db: Queryable,
  saleId: string,
): Promise<{ readonly sku: string; readonly limit: number }[]> {
  const result = await db.query<{ sku: string; limit: number }>(
    `SELECT i.product_id AS sku, COALESCE(i.per_customer_limit, 0) AS "limit"
     FROM sale_items i JOIN coupons c ON c.id = i.product_id WHERE i.sale_id = $1 ORDER BY i.position`,
    [saleId],
  );
  return result.rows;
}
