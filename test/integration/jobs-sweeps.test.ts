import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { openPool } from "../../engine/ledger/database.ts";
import { startPayments } from "../../engine/ledger/payments.ts";
import { type Outbox, openOutbox } from "../../engine/outbox/outbox.ts";
import { Settlement } from "../../persister/jobs/settlement/settlement.ts";
import { allocationSweep } from "../../persister/jobs/sweeps/allocations.ts";
import { expirySweep } from "../../persister/jobs/sweeps/expiry.ts";
import { SweepLocks } from "../../persister/jobs/sweeps/locks.ts";
import { paymentSweep } from "../../persister/jobs/sweeps/payments.ts";
import { runOnce, type Sweep, scheduleSweeps } from "../../persister/jobs/sweeps/schedule.ts";
import { unsettledSweep } from "../../persister/jobs/sweeps/unsettled.ts";
import { openShop, silent } from "./jobs-shop.ts";

const shop = await openShop();
const settlement = new Settlement(shop.pool, shop.stock, shop.positions, silent);
const locks = new SweepLocks(shop.databaseUrl, silent);
afterAll(() => locks.close());
const run = (sweep: Sweep) => runOnce(sweep, { locks, redis: shop.redis }, new AbortController().signal);

describe("expiry", () => {
  const sweep = expirySweep(shop.pool, (orders) => settlement.move(orders), silent);
  const PAST = { reservedForMs: -60_000 };

  test("ends reservations past their deadline and gives the units back", async () => {
    const before = await shop.units();
    const orders = await shop.reserve(20, { method: "later", ...PAST });
    const [current = ""] = await shop.reserve(1, { method: "later" });
    await run(sweep);
    expect(await shop.statuses(orders)).toEqual({ CANCELLING: 20 });
    expect(await shop.stateOf(orders[0] ?? "")).toMatchObject({ reason: "EXPIRED", version: 3 });
    expect(await shop.stateOf(current)).toMatchObject({ status: "RESERVED" });
    expect(await shop.units()).toMatchObject({ reserved: before.reserved + 1, available: before.available - 1 });
  });

  test("waits for the first attempt of an order that carries a payment, however late", async () => {
    const [due = ""] = await shop.reserve(1, PAST);
    const [paying = ""] = await shop.reserve(1, PAST);
    const [attempted = ""] = await shop.reserve(1, { onDecline: "hold", token: null, ...PAST });
    await startPayments(shop.pool, [paying], 60_000);
    await shop.pool.query("UPDATE orders SET payment_attempts = 1 WHERE id = $1", [attempted]);
    await run(sweep);
    expect(await shop.stateOf(due)).toMatchObject({ status: "RESERVED" });
    expect(await shop.stateOf(paying)).toMatchObject({ status: "PAYING" });
    expect(await shop.stateOf(attempted)).toMatchObject({ status: "CANCELLING", reason: "EXPIRED" });
  });

  test("stands still while Redis' clock cannot be read", async () => {
    const before = await shop.units();
    const [order = ""] = await shop.reserve(1, { method: "later", ...PAST });
    await shop.killRedis();
    await expect(run(sweep)).rejects.toThrow();
    expect(await shop.stateOf(order)).toMatchObject({ status: "RESERVED" });
    await shop.openRedisAgain();
    await run(sweep);
    expect(await shop.stateOf(order)).toMatchObject({ status: "CANCELLING" });
    expect(await shop.units()).toEqual(before);
  });
});

describe("one worker at a time", () => {
  test("a pass is skipped while another holds the lock, and runs when the holder's connection is gone", async () => {
    let passes = 0;
    const sweep: Sweep = {
      name: "counted",
      async run() {
        passes += 1;
      },
    };
    const holder = await shop.pool.connect();
    holder.on("error", () => undefined);
    await holder.query("BEGIN");
    await holder.query("SELECT pg_advisory_xact_lock(hashtextextended('onrush sweep counted', 0))");
    const { rows } = await holder.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
    expect(await run(sweep)).toBe(false);
    await shop.pool.query("SELECT pg_terminate_backend($1, 5000)", [rows[0]?.pid]);
    holder.release(true);
    expect(await run(sweep)).toBe(true);
    expect(passes).toBe(1);
  });

  test("a session that was ended is opened again", async () => {
    const sweep: Sweep = { name: "again", run: () => Promise.resolve() };
    expect(await run(sweep)).toBe(true);
    await shop.pool.query("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = $1", [
      "onrush sweeps",
    ]);
    await vi.waitFor(async () => expect(await run(sweep)).toBe(true), { timeout: 10_000, interval: 20 });
  });

  test("many sweeps at once keep no connections from one another's statements", async () => {
    const pool = openPool(
      shop.databaseUrl,
      { connectionsMax: 1, applicationName: "few", statementTimeoutMs: 5_000 },
      () => undefined,
    );
    const passes = Array.from({ length: 40 }, () => 0);
    const sweeps = passes.map((_, i): Sweep => {
      return {
        name: `one of many ${i}`,
        async run() {
          await pool.query("SELECT 1");
          passes[i] = (passes[i] ?? 0) + 1;
        },
      };
    });
    const own = new SweepLocks(shop.databaseUrl, silent);
    const schedule = scheduleSweeps(sweeps, { locks: own, redis: shop.redis, log: silent, intervalMs: 1 });
    await vi.waitFor(() => expect(Math.min(...passes)).toBeGreaterThanOrEqual(5), { timeout: 20_000, interval: 20 });
    await schedule.stop();
    await pool.end();
  });

  test("a pass that fails frees the lock", async () => {
    const failing: Sweep = { name: "failing", run: () => Promise.reject(new Error("no")) };
    await expect(run(failing)).rejects.toThrow("no");
    await expect(run(failing)).rejects.toThrow("no");
  });
});

describe("unsettled orders", () => {
  const { pool, redis } = shop;
  const sweep = unsettledSweep({ pool, redis, settlement, olderThanMs: 0, log: silent });

  test("PAID ones are settled and CANCELLING ones released, those that the ledger refused too; once", async () => {
    const before = await shop.units();
    await shop.reserve(3, { status: "PAID" });
    await shop.reserve(2, { status: "CANCELLING" });
    await shop.reserve(1, { status: "CANCELLING", stockState: "refused" });
    await run(sweep);
    const after = { ...before, available: before.available - 3, sold: before.sold + 3 };
    expect(await shop.units()).toEqual(after);
    await run(sweep);
    expect(await shop.units()).toEqual(after);
  });

  test("those that have gone another way and hold units give them back; those whose stock has moved are left alone", async () => {
    const before = await shop.units();
    const [held = "", refused = "", sold = ""] = await shop.reserve(3, { status: "PAID" });
    const become = "UPDATE orders SET status = $2, stock_state = $3 WHERE id = $1";
    await shop.pool.query(become, [held, "REFUND_PENDING", "reserved"]);
    await shop.pool.query(become, [refused, "CANCELLED", "refused"]);
    await shop.pool.query(become, [sold, "REFUNDED", "sold"]);
    await run(sweep);
    const after = { ...before, available: before.available - 1, reserved: before.reserved + 1 };
    expect(await shop.units()).toEqual(after);
    await run(sweep);
    expect(await shop.units()).toEqual(after);
    await shop.pool.query(become, [sold, "CANCELLING", "reserved"]);
    await run(sweep);
    expect(await shop.units()).toEqual(before);
  });

  test("one whose movement may be in the part of the log that Postgres does not have yet is left to it", async () => {
    const before = await shop.units();
    const orders = await shop.reserve(1, { status: "CANCELLING" });
    await shop.pool.query("UPDATE orders SET updated_at = now() - interval '1 minute' WHERE id = ANY($1)", [orders]);
    const waiting = unsettledSweep({ pool, redis, settlement, olderThanMs: 50_000, log: silent });
    // The log's first entry, which nobody applies here, seems an hour old.
    await waiting.run(Date.now() + 3_600_000, new AbortController().signal);
    expect(await shop.units()).toMatchObject({ reserved: before.reserved + 1 });
    await shop.pool.query("UPDATE orders SET updated_at = now() - interval '1 hour' WHERE id = ANY($1)", [orders]);
    await waiting.run(Date.now() + 3_600_000, new AbortController().signal);
    expect(await shop.units()).toEqual(before);
  });

  test("a partition whose epoch was raised is left alone until Redis has it", async () => {
    const before = await shop.units();
    const orders = await shop.reserve(1, { status: "PAID" });
    await shop.pool.query("UPDATE sale_partitions SET epoch = epoch + 1 WHERE sale_id = $1", [shop.saleId]);
    const anew = new Settlement(shop.pool, shop.stock, shop.positions, silent);
    const fresh = unsettledSweep({ pool, redis, settlement: anew, olderThanMs: 0, log: silent });
    await run(fresh);
    expect(await shop.units()).toMatchObject({ sold: before.sold, reserved: before.reserved + 1 });
    expect(await shop.statuses(orders)).toEqual({ PAID: 1 });
    await shop.pool.query("UPDATE sale_partitions SET epoch = epoch - 1 WHERE sale_id = $1", [shop.saleId]);
  });
});

describe("payments that nobody is at", () => {
  let outbox: Outbox;
  beforeAll(async () => {
    outbox = await openOutbox(shop.databaseUrl, () => undefined);
    return () => outbox.close();
  });
  afterEach(async () => {
    await shop.pool.query("DELETE FROM pgboss.job");
  });
  const jobs = async () => {
    const result = await shop.pool.query<{ orderIds: string[] }>(
      `SELECT data->'orderIds' AS "orderIds" FROM pgboss.job WHERE name = 'payment'`,
    );
    return result.rows.flatMap(({ orderIds }) => orderIds);
  };

  test("an open attempt is woken when its lease has ended, once", async () => {
    const sweep = paymentSweep(shop.pool, outbox, 3_600_000, silent);
    const [order = ""] = await shop.reserve(1);
    await startPayments(shop.pool, [order], 60_000);
    await run(sweep);
    expect(await jobs()).not.toContain(order);
    await shop.passTime([order]);
    await run(sweep);
    await run(sweep);
    expect((await jobs()).filter((id) => id === order)).toEqual([order]);
  });

  test("an order whose job was lost gets a new one, unless the queue is behind", async () => {
    const sweep = paymentSweep(shop.pool, outbox, 0, silent);
    const [order = ""] = await shop.reserve(1);
    const [later = ""] = await shop.reserve(1, { method: "later" });
    await run(sweep);
    expect(await jobs()).toContain(order);
    expect(await jobs()).not.toContain(later);
    const count = (await jobs()).length;
    await shop.pool.query("UPDATE pgboss.job SET start_after = now() - interval '1 minute'");
    await run(sweep);
    expect(await jobs()).toHaveLength(count);
  });
});

test("an allocation that never reached Redis is delivered once", async () => {
  const sweep = allocationSweep(shop.pool, shop.stock, silent);
  const before = await shop.units();
  await shop.pool.query(
    `INSERT INTO allocations (movement_id, sale_id, partition, product_id, quantity, reason, actor)
     VALUES (gen_random_uuid(), $1, 0, $2, 7, 'restock', 'test')`,
    [shop.saleId, shop.productId],
  );
  await run(sweep);
  await run(sweep);
  expect(await shop.units()).toEqual({ ...before, available: before.available + 7 });
});
