// Members with points and their orders, for the tests of points: the whole order path, with a provider that decides pending
// charges when the test says so.
import type pg from "pg";
import { expect } from "vitest";
import type { OrderRequest } from "../../engine/engine.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { openRefund, type RefundRequest } from "../../engine/ledger/refund-requests.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { listEntries, readPoints } from "../../engine/points/accounts.ts";
import { adjustPoints } from "../../engine/points/adjustments.ts";
import { checkPoints } from "../../engine/points/check.ts";
import { openLateShop, type Sale, until } from "./late-shop.ts";

/** A new member with these points. @returns the id */
export async function memberWith(pool: pg.Pool, points: number): Promise<string> {
  const id = makeCustomerId();
  await pool.query("INSERT INTO users (id, email, name, password_hash) VALUES ($1, $1 || '@x.example', 'Kim', '')", [
    id,
  ]);
  if (points !== 0) await adjustPoints(pool, { customerId: id, amount: points }, { actor: "cli:test" });
  return id;
}

/** Opens it for a test file; closed with it. */
export async function openPointsShop() {
  const shop = await openLateShop();
  const { pool } = shop;
  const place = (sale: Sale, customerId: string, request: Partial<OrderRequest> = {}) =>
    shop.engine.place({ ...sale, customerId, items: [{ productId: sale.productId, quantity: 1 }], ...request });
  return {
    ...shop,
    member: (points: number) => memberWith(pool, points),
    /** An order of one unit, by card, unless told otherwise. @returns its id */
    order: async (sale: Sale, customerId: string, request: Partial<OrderRequest> = {}) =>
      (await place(sale, customerId, request)).orderId,
    untilStatus: (orders: readonly string[], statuses: Record<string, number>) =>
      until(async () => expect(await shop.statuses(orders)).toEqual(statuses)),
    balanceOf: async (customerId: string) => (await readPoints(pool, customerId)).balance,
    spendOf: async (customerId: string) => (await readPoints(pool, customerId)).spend,
    /** What was booked, oldest first, without what operators gave. */
    async booked(customerId: string): Promise<(readonly [string, number])[]> {
      const entries = await listEntries(pool, customerId, { limit: 1_000 });
      return entries
        .filter(({ kind }) => kind !== "adjust")
        .map(({ kind, amount }) => [kind, amount] as const)
        .reverse();
    },
    refund: (orderId: string, request: Partial<RefundRequest> = {}) =>
      transaction(pool, (client) =>
        openRefund(client, shop.outbox, { orderId, restock: false, actor: "test", ...request }),
      ),
    expectSound: async () => expect((await checkPoints(pool)).findings).toEqual([]),
  };
}
