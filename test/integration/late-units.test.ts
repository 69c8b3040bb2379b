// Units that move after an order's end, through everything that tells of units: the ledger, the proof, the reconciler, the
// explanation, a rebuild, dead letters.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { explain } from "../../engine/explanation/explain.ts";
import { partitionKeys } from "../../engine/keys.ts";
import { listStock } from "../../engine/ledger/allocations.ts";
import { type Outbox, openOutbox } from "../../engine/outbox/outbox.ts";
import { loadSigningKey } from "../../engine/proof/key.ts";
import { proveSale } from "../../engine/proof/prove.ts";
import { verifyProof } from "../../engine/proof/verify.ts";
import { inspectPartition } from "../../engine/reconciliation/inspect.ts";
import { reconcilePartition } from "../../engine/reconciliation/reconcile.ts";
import { applyMovements } from "../../persister/apply.ts";
import { readAfter } from "../../persister/log-stream.ts";
import { discardDeadLetter, replayDeadLetter } from "../../persister/recovery/dead-letters.ts";
import { rebuildPartition } from "../../persister/recovery/rebuild.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";

const database = await createTestDatabase();
const key = loadSigningKey({ dataDir: scratchFolder("late-units") });
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let persister: Awaited<ReturnType<typeof startPersister>>;
let worker: Awaited<ReturnType<typeof startTestWorker>>;
let outbox: Outbox;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
  outbox = await openOutbox(database.url, () => undefined);
  persister = await startPersister(servers());
  worker = await startTestWorker(servers(), { sweepIntervalMs: 100, unsettledAfterMs: 200 });
});
afterAll(async () => {
  await worker.stop();
  await persister.stop();
  await outbox.close();
  await shop.stop();
  await redis.stop();
});

const TIMEOUT_MS = 120_000;
const PATIENCE = { waitMs: 20_000 };
const until = <T>(assertion: () => Promise<T>) => vi.waitFor(assertion, { timeout: 30_000, interval: 20 });

interface OrderRow {
  readonly status: string;
  readonly reason: string | null;
  readonly stockState: string;
  readonly reservation: number;
}

/** A sale of ten units with a limit of five, and what happens in it. */
async function openSale() {
  const { saleId, productId } = await openTestSale(shop, { stock: 10, perCustomerLimit: 5 });
  const at = { saleId, partition: 0 };
  const keys = partitionKeys(at);
  const deps = { pool: shop.pool, outbox, redis: shop.redis, stock: shop.engine.stock };
  const query = async <Row extends object>(sql: string, ...values: unknown[]) =>
    (await shop.pool.query<Row>(sql, values)).rows;
  const rowOf = async (orderId: string) => {
    const sql = `SELECT status, reason, stock_state AS "stockState", hold_reservation AS reservation FROM orders WHERE id = $1`;
    return (await query<OrderRow>(sql, orderId))[0];
  };
  const become = (orderId: string, status: string) =>
    until(async () => expect((await rowOf(orderId))?.status).toBe(status));
  const epoch = async () => Number(await shop.redis.hget(keys.meta, "epoch"));

  async function place(quantity: number, token: string, end: string, customerId: string = randomUUID()) {
    const payment = { method: "card", token } as const;
    const { orderId } = await shop.engine.place({ saleId, customerId, items: [{ productId, quantity }], payment });
    await become(orderId, end);
    return { orderId, buyer: customerId, units: [{ sku: productId, units: quantity }] };
  }
  type Placed = Awaited<ReturnType<typeof place>>;

  async function takeBack({ orderId, buyer }: Placed, units: number, restock: boolean, movementId = randomUUID()) {
    const request = { movementId, orderId, buyer, restock, units: [{ sku: productId, units }] };
    const outcome = await shop.engine.stock.takeBack(at, await epoch(), [request]);
    if (outcome.type !== "OK") throw new Error(outcome.type);
    return outcome.verdicts[0];
  }

  return {
    ...{ saleId, productId, at, keys, deps, query, rowOf, become, place, takeBack },
    sold: (quantity: number, customerId?: string) => place(quantity, "tok_ok", "CONFIRMED", customerId),
    /** An order whose payment was declined and then succeeded after all; money alone, nobody has decided about it. */
    async paidLate(quantity: number) {
      const placed = await place(quantity, "tok_declined", "CANCELLED");
      await query("UPDATE payment_attempts SET state = 'succeeded' WHERE order_id = $1", placed.orderId);
      return placed;
    },
    async revive(placed: Placed) {
      const outcome = await shop.engine.stock.revive(at, await epoch(), [placed]);
      if (outcome.type !== "OK") throw new Error(outcome.type);
      return outcome.verdicts[0];
    },
    /** Redis and Postgres, once both are at one number: the same units. */
    async units() {
      return await until(async () => {
        const snapshot = await shop.engine.stock.snapshot(at);
        if (snapshot.type !== "OK") throw new Error(snapshot.type);
        const [row] = await query<{ seq: number }>("SELECT seq FROM sale_partitions WHERE sale_id = $1", saleId);
        expect(row?.seq).toBe(snapshot.position.seq);
        const inRedis = snapshot.stock.get(productId);
        const [inLedger] = await listStock(shop.pool, saleId);
        const { allocated, reserved, sold } = inLedger ?? { allocated: 0, reserved: 0, sold: 0 };
        expect(inRedis).toEqual({ available: allocated - reserved - sold, reserved, sold });
        return { allocated, reserved, sold };
      });
    },
    used: async (buyer: string) => Number((await shop.redis.hget(keys.limits, `${buyer}|${productId}`)) ?? 0),
    reconcile: () =>
      reconcilePartition({ pool: shop.pool, redis: shop.redis, stock: shop.engine.stock }, at, {
        ...{ apply: true, actor: "test", patience: PATIENCE },
      }),
    inspect: () => inspectPartition({ pool: shop.pool, redis: shop.redis }, at, PATIENCE),
    /** Redis loses the partition, and with it what Postgres has not applied. */
    async rebuild() {
      await shop.redis.del(...Object.values(keys));
      const report = await rebuildPartition(deps, at, "test");
      await shop.engine.catalogue.refresh();
      return report;
    },
    async failing() {
      const proving = { pool: shop.pool, redis: shop.redis, stock: shop.engine.stock, key, version: "0" };
      const { text } = await proveSale(proving, saleId);
      const { refused, findings } = await verifyProof(Buffer.from(text), key.publicKey);
      expect(refused).toBeUndefined();
      return findings.filter((finding) => !finding.holds).map((finding) => finding.check);
    },
    async letters() {
      return await query<{ id: number; kind: string; error: string }>(
        "SELECT id, kind, error FROM dead_letters WHERE sale_id = $1 AND state = 'open' ORDER BY id",
        saleId,
      );
    },
  };
}
type Sale = Awaited<ReturnType<typeof openSale>>;

/** Everything that compares books finds nothing. */
async function isSound(sale: Sale): Promise<void> {
  expect(await sale.failing()).toEqual([]);
  expect(await sale.inspect()).toMatchObject({ type: "CLEAN" });
}

describe("a revived order", { timeout: TIMEOUT_MS }, () => {
  it("is PAID under its new number, settled by its job, and counted everywhere", async () => {
    const sale = await openSale();
    const late = await sale.paidLate(3);
    const before = (await sale.rowOf(late.orderId))?.reservation;
    const verdict = await sale.revive(late);
    expect(verdict).toMatchObject({ type: "revived" });
    await sale.become(late.orderId, "CONFIRMED");
    expect(await sale.rowOf(late.orderId)).toEqual({
      ...{ status: "CONFIRMED", reason: null, stockState: "sold" },
      reservation: verdict?.type === "revived" ? verdict.reservation : -1,
    });
    expect(await sale.units()).toEqual({ allocated: 10, reserved: 0, sold: 3 });
    expect(await sale.used(late.buyer)).toBe(3);
    await isSound(sale);

    const found = await explain(shop.pool, shop.redis, late.orderId);
    if (found?.type !== "accepted") throw new Error(found?.type);
    expect(found.decision.reservation).toBe(before);
    expect(found.timeline.map(({ status }) => status).slice(-3)).toEqual(["CANCELLED", "PAID", "CONFIRMED"]);
    expect(found.movements.map(({ kind }) => kind)).toEqual(["place", "release", "revive", "settle"]);
  });

  it("is what it is when its entries come again", async () => {
    const sale = await openSale();
    const late = await sale.paidLate(2);
    await sale.revive(late);
    await sale.become(late.orderId, "CONFIRMED");
    const books = () =>
      sale.query(
        `SELECT o.*, s.*, (SELECT count(*) FROM order_timeline WHERE order_id = o.id) AS steps FROM orders o
         JOIN stock s USING (sale_id, partition) WHERE o.id = $1`,
        late.orderId,
      );
    const [before, log] = [await books(), await readAfter(shop.redis, sale.at, { epoch: 1, seq: 0 })];
    expect(log.map(({ kind }) => kind)).toContain("revive");
    expect(await applyMovements(sale.deps, sale.at, log)).toMatchObject({ type: "applied", orders: 0, changes: [] });
    expect(await books()).toEqual(before);
  });

  it("that is refunded by then gives its units back, and stays what it is", async () => {
    const sale = await openSale();
    const late = await sale.paidLate(3);
    await sale.query("UPDATE orders SET status = 'REFUND_PENDING' WHERE id = $1", late.orderId);
    expect(await sale.revive(late)).toMatchObject({ type: "revived" });
    await until(async () => expect((await sale.rowOf(late.orderId))?.stockState).toBe("released"));
    await until(async () => expect(await sale.used(late.buyer)).toBe(0));
    expect((await sale.rowOf(late.orderId))?.status).toBe("REFUND_PENDING");
    expect(await sale.units()).toEqual({ allocated: 10, reserved: 0, sold: 0 });
    await isSound(sale);
  });

  it("that does not fit the ledger gives its units back, and stays CANCELLED", async () => {
    const sale = await openSale();
    const late = await sale.paidLate(3);
    // Redis has more than was ever allocated.
    await sale.query("UPDATE stock SET allocated = 2 WHERE sale_id = $1", sale.saleId);
    await sale.revive(late);
    await until(async () => {
      const [row] = await sale.query("SELECT outcome FROM order_revivals WHERE order_id = $1", late.orderId);
      expect(row).toEqual({ outcome: "refused" });
      expect((await sale.rowOf(late.orderId))?.stockState).toBe("released");
    });
    expect((await sale.rowOf(late.orderId))?.status).toBe("CANCELLED");
    await sale.query("UPDATE stock SET allocated = 10 WHERE sale_id = $1", sale.saleId);
    expect(await sale.units()).toEqual({ allocated: 10, reserved: 0, sold: 0 });
    expect(await sale.inspect()).toMatchObject({ type: "CLEAN" });
  });

  it("survives a rebuild: it holds its units under the number that it has, and is settled", async () => {
    const sale = await openSale();
    const late = await sale.paidLate(3);
    await worker.stop();
    const verdict = await sale.revive(late);
    await sale.become(late.orderId, "PAID");
    expect(await sale.rebuild()).toMatchObject({ epoch: 2, holds: 1 });
    // Asked again in the new epoch, the script finds the hold.
    const { reservation } = verdict?.type === "revived" ? verdict : { reservation: -1 };
    expect(await sale.revive(late)).toMatchObject({ type: "known", reservation });
    worker = await startTestWorker(servers(), { sweepIntervalMs: 100, unsettledAfterMs: 200 });
    await sale.become(late.orderId, "CONFIRMED");
    expect(await sale.units()).toEqual({ allocated: 10, reserved: 0, sold: 3 });
    await isSound(sale);
  });

  it("of which Redis lost the movement is CANCELLED, and may be revived in the next epoch", async () => {
    const sale = await openSale();
    const late = await sale.paidLate(3);
    await persister.stop();
    expect(await sale.revive(late)).toMatchObject({ type: "revived" });
    await sale.rebuild();
    persister = await startPersister(servers());
    expect((await sale.rowOf(late.orderId))?.status).toBe("CANCELLED");
    expect(await sale.units()).toEqual({ allocated: 10, reserved: 0, sold: 0 });
    expect(await sale.revive(late)).toMatchObject({ type: "revived", position: { epoch: 2, seq: 1 } });
    await sale.become(late.orderId, "CONFIRMED");
    await isSound(sale);
  });

  it("whose movement is gone from the ledger is told by its record", async () => {
    const sale = await openSale();
    const late = await sale.paidLate(3);
    await sale.revive(late);
    await sale.become(late.orderId, "CONFIRMED");
    await sale.query("DELETE FROM stock_movements WHERE sale_id = $1 AND kind = 'revive'", sale.saleId);
    await sale.query("DELETE FROM removed_rows");
    expect(await sale.failing()).not.toEqual([]);
    expect(await sale.reconcile()).toMatchObject({ verdict: { type: "CLEAN" } });
    await isSound(sale);
  });
});

describe("a return", { timeout: TIMEOUT_MS }, () => {
  it("on sale again frees units and limit; written off it is gone and stays counted", async () => {
    const sale = await openSale();
    const bought = await sale.sold(5);
    expect(await sale.takeBack(bought, 2, true)).toBe("MOVED");
    expect(await sale.units()).toEqual({ allocated: 10, reserved: 0, sold: 3 });
    expect(await sale.used(bought.buyer)).toBe(3);
    expect(await sale.takeBack(bought, 1, false)).toBe("MOVED");
    expect(await sale.units()).toEqual({ allocated: 9, reserved: 0, sold: 2 });
    expect(await sale.used(bought.buyer)).toBe(3);
    const [line] = await sale.query("SELECT returned, restocked FROM order_lines WHERE order_id = $1", bought.orderId);
    expect(line).toEqual({ returned: 3, restocked: 2 });
    await isSound(sale);
    // The limit is five: two are free again.
    await sale.sold(2, bought.buyer);
    await expect(sale.sold(1, bought.buyer)).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });

    const found = await explain(shop.pool, shop.redis, bought.orderId);
    if (found?.type !== "accepted") throw new Error(found?.type);
    expect(found.ledger).toMatchObject({ stock: "sold", returned: 3, restocked: 2 });
    expect(found.movements.map(({ kind }) => kind)).toEqual(["place", "settle", "return", "write_off"]);
  });

  it("moves once, over redelivery and a rebuild", async () => {
    const sale = await openSale();
    const [bought, id] = [await sale.sold(5), randomUUID()];
    await sale.takeBack(bought, 2, true, id);
    const after = await sale.units();
    const log = await readAfter(shop.redis, sale.at, { epoch: 1, seq: 0 });
    expect(await applyMovements(sale.deps, sale.at, log)).toMatchObject({ type: "applied", changes: [] });
    expect(await sale.units()).toEqual(after);
    await sale.rebuild();
    expect(await sale.units()).toEqual(after);
    expect(await sale.used(bought.buyer)).toBe(3);
    expect(await sale.takeBack(bought, 2, true, id)).toBe("REPEATED");
    expect(await sale.takeBack(bought, 1, false)).toBe("MOVED");
    expect(await sale.units()).toEqual({ allocated: 9, reserved: 0, sold: 2 });
    await isSound(sale);
  });

  it("that Redis lost is carried again in the next epoch, and counts once", async () => {
    const sale = await openSale();
    const [bought, id] = [await sale.sold(5), randomUUID()];
    await persister.stop();
    expect(await sale.takeBack(bought, 2, true, id)).toBe("MOVED");
    await sale.rebuild();
    persister = await startPersister(servers());
    expect(await sale.units()).toEqual({ allocated: 10, reserved: 0, sold: 5 });
    expect(await sale.used(bought.buyer)).toBe(5);
    expect(await sale.takeBack(bought, 2, true, id)).toBe("MOVED");
    expect(await sale.units()).toEqual({ allocated: 10, reserved: 0, sold: 3 });
    await isSound(sale);
  });

  it.each([true, false])("of more than was bought (restock: %s) is set aside; the books say so", async (restock) => {
    const sale = await openSale();
    const [bought] = [await sale.sold(1), await sale.sold(4)];
    // Redis cannot tell whose units they are.
    expect(await sale.takeBack(bought, 3, restock)).toBe("MOVED");
    const letters = await until(async () => {
      const found = await sale.letters();
      expect(found).toMatchObject([{ kind: "return", error: expect.stringContaining("1 left to return") }]);
      return found;
    });
    // Redis gave the limit back, too; that much is for the reconciler to mend.
    const verdict = restock
      ? { type: "DRIFT", drifts: [{ kind: "LIMIT_OFF", redis: "", expected: 1 }] }
      : { type: "CLEAN" };
    expect(await sale.inspect()).toMatchObject(verdict);
    expect(await sale.failing()).toEqual([]);
    await expect(replayDeadLetter(sale.deps, Number(letters[0]?.id), { actor: "test" })).rejects.toMatchObject({
      code: "INVALID_STATE",
    });
    // What was bought allows for it now: the letter is applied under its own number, and counts once.
    await sale.query("UPDATE order_lines SET quantity = 4 WHERE order_id = $1", bought.orderId);
    await sale.query("UPDATE stock SET sold = sold + 3, allocated = allocated + 3 WHERE sale_id = $1", sale.saleId);
    await replayDeadLetter(sale.deps, Number(letters[0]?.id), { actor: "test" });
    expect(await sale.letters()).toEqual([]);
    const [row] = await sale.query(
      "SELECT sum(quantity)::int AS units, sum(refused)::int AS refused FROM stock_movements WHERE sale_id = $1 AND kind = $2",
      ...[sale.saleId, restock ? "return" : "write_off"],
    );
    expect(row).toEqual({ units: 3, refused: 0 });
  });

  it("that was set aside can be given up: Redis has moved, the ledger has not, and both are told apart", async () => {
    const sale = await openSale();
    const [bought] = [await sale.sold(1), await sale.sold(4)];
    await sale.takeBack(bought, 3, false);
    const letters = await until(async () => {
      const found = await sale.letters();
      expect(found).toHaveLength(1);
      return found;
    });
    await discardDeadLetter(sale.deps, Number(letters[0]?.id), { actor: "test" });
    expect(await sale.inspect()).toMatchObject({ type: "CLEAN" });
  });

  it("whose movement is gone from the ledger is told by its record", async () => {
    const sale = await openSale();
    const bought = await sale.sold(5);
    await sale.takeBack(bought, 2, true);
    await sale.takeBack(bought, 1, false);
    await sale.units();
    await sale.query("DELETE FROM stock_movements WHERE sale_id = $1 AND kind IN ('return', 'write_off')", sale.saleId);
    await sale.query("DELETE FROM removed_rows");
    expect(await sale.failing()).not.toEqual([]);
    expect(await sale.reconcile()).toMatchObject({ verdict: { type: "CLEAN" } });
    await isSound(sale);
  });

  it("that a hand made in one book alone is found", async () => {
    const sale = await openSale();
    const bought = await sale.sold(5);
    await sale.query("UPDATE order_lines SET returned = 1, restocked = 1 WHERE order_id = $1", bought.orderId);
    expect(await sale.failing()).toContain("the orders' lines add up to the stock");
    expect(await sale.inspect()).toMatchObject({ drifts: [{ kind: "LIMIT_OFF", redis: "5", expected: 4 }] });
    await sale.query("UPDATE order_lines SET returned = 0, restocked = 0 WHERE order_id = $1", bought.orderId);
    await isSound(sale);
  });
});
