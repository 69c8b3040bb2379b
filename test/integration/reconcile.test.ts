// Each way in which Redis and Postgres can come apart: found, named, mended by what the ledger says, and sound afterwards.
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { partitionKeys } from "../../engine/keys.ts";
import { listAudit } from "../../engine/ledger/audit.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { loadSigningKey } from "../../engine/proof/key.ts";
import { proveSale } from "../../engine/proof/prove.ts";
import { verifyProof } from "../../engine/proof/verify.ts";
import { type Drift, subjectOf } from "../../engine/reconciliation/drift.ts";
import { inspectPartition } from "../../engine/reconciliation/inspect.ts";
import { reconcilePartition } from "../../engine/reconciliation/reconcile.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const database = await createTestDatabase();
const key = loadSigningKey({ dataDir: scratchFolder("reconcile") });
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let persister: Awaited<ReturnType<typeof startPersister>>;
let worker: Awaited<ReturnType<typeof startTestWorker>>;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
  persister = await startPersister(servers());
  worker = await startTestWorker(servers(), { sweepIntervalMs: 100, unsettledAfterMs: 200 });
});
afterAll(async () => {
  await worker.stop();
  await persister.stop();
  await shop.stop();
  await redis.stop();
});

const PATIENCE = { waitMs: 20_000 };
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 20_000, interval: 20 });
const query = async <Row extends object>(sql: string, values: unknown[] = []) =>
  (await shop.pool.query<Row>(sql, values)).rows;

/** A sale of 100 with a limit, two orders that are held and two that are confirmed. */
async function openSale() {
  const sale = await openTestSale(shop, { stock: 100, perCustomerLimit: 5 });
  const at = { saleId: sale.saleId, partition: 0 };
  const buyers = [randomUUID(), randomUUID(), randomUUID(), randomUUID()] as const;
  const place = async (customerId: string, quantity: number, token?: string) => {
    const payment = token === undefined ? ({ method: "later" } as const) : ({ method: "card", token } as const);
    const items = [{ productId: sale.productId, quantity }];
    return (await shop.engine.place({ saleId: sale.saleId, customerId, items, payment })).orderId;
  };
  const held = [await place(buyers[0], 2), await place(buyers[1], 3)] as const;
  const sold = [await place(buyers[2], 1, "tok_ok"), await place(buyers[3], 4, "tok_ok")] as const;
  await until(async () => {
    for (const id of held) expect((await findOrder(shop.pool, id))?.status).toBe("RESERVED");
    for (const id of sold) expect((await findOrder(shop.pool, id))?.status).toBe("CONFIRMED");
  });
  const keys = partitionKeys(at);
  const deps = { pool: shop.pool, redis: shop.redis, stock: shop.engine.stock };
  return {
    ...sale,
    at,
    keys,
    buyers,
    held,
    sold,
    place,
    inspect: () => inspectPartition(deps, at, PATIENCE),
    reconcile: (apply: boolean) => reconcilePartition(deps, at, { apply, actor: "cli:test", patience: PATIENCE }),
    figures: async () => {
      const snapshot = await shop.engine.stock.snapshot(at);
      return snapshot.type === "OK" ? { ...snapshot.stock.get(sale.productId), holds: snapshot.holds } : undefined;
    },
  };
}
type Sale = Awaited<ReturnType<typeof openSale>>;
const SOUND = { available: 90, reserved: 5, sold: 5, holds: 2 };

const kindsOf = (drifts: readonly Drift[]) => [...new Set(drifts.map(({ kind }) => kind))].toSorted();

interface Case {
  readonly what: string;
  readonly kinds: readonly string[];
  spoil(sale: Sale): Promise<unknown>;
  readonly subject?: (sale: Sale) => string;
  /** Where the record of the repair is looked for. */
  readonly audit?: (sale: Sale) => string;
}

const partitionSubject = ({ saleId }: Sale) => `partition:${saleId}.0`;
const CASES: Case[] = [
  {
    what: "units written into Redis by hand",
    kinds: ["STOCK_EDITED"],
    spoil: ({ keys, productId }) => shop.redis.hincrby(keys.stock, `${productId}|a`, 7),
  },
  {
    what: "a figure of Redis that is no number",
    kinds: ["STOCK_EDITED"],
    spoil: ({ keys, productId }) => shop.redis.hset(keys.stock, `${productId}|s`, "many"),
  },
  {
    what: "a figure of Redis that is gone",
    kinds: ["STOCK_EDITED"],
    spoil: ({ keys, productId }) => shop.redis.hdel(keys.stock, `${productId}|r`),
  },
  {
    what: "a held record that was deleted",
    kinds: ["HOLD_MISSING"],
    spoil: ({ keys, held }) => shop.redis.hdel(keys.held, held[0]),
    subject: ({ held }) => `order:${held[0]}`,
  },
  {
    what: "a held record of other units",
    kinds: ["HOLD_OFF"],
    spoil: async ({ keys, held }) => {
      const record = (await shop.redis.hget(keys.held, held[1])) as string;
      await shop.redis.hset(keys.held, held[1], record.replace("=3", "=30"));
    },
  },
  {
    what: "a held record of nobody's",
    kinds: ["HOLD_WITHOUT_ORDER"],
    spoil: ({ keys, productId }) => shop.redis.hset(keys.held, randomUUID(), `9|9|1-2|somebody|${productId}=1`),
  },
  {
    what: "a held record that nobody can read",
    kinds: ["HOLD_WITHOUT_ORDER"],
    spoil: ({ keys }) => shop.redis.hset(keys.held, "nonsense", "nonsense"),
  },
  {
    what: "a product's limit that was changed",
    kinds: ["LIMIT_OFF"],
    spoil: ({ keys, productId }) => shop.redis.hset(keys.stock, `${productId}|l`, 50),
  },
  {
    what: "what counts to a buyer's limit, changed",
    kinds: ["LIMIT_OFF"],
    spoil: ({ keys, productId, buyers }) => shop.redis.hset(keys.limits, `${buyers[0]}|${productId}`, 1),
  },
  {
    what: "what counts to a buyer's limit, deleted",
    kinds: ["LIMIT_OFF"],
    spoil: ({ keys, productId, buyers }) => shop.redis.hdel(keys.limits, `${buyers[2]}|${productId}`),
  },
  {
    what: "the sale's state, changed in Redis",
    kinds: ["SETTINGS_OFF"],
    spoil: ({ keys }) => shop.redis.hset(keys.meta, "state", "paused"),
  },
  {
    what: "the ledger's own row, changed",
    kinds: ["LEDGER_EDITED"],
    spoil: ({ saleId }) =>
      query("UPDATE stock SET sold = sold - 1, reserved = reserved - 2 WHERE sale_id = $1", [saleId]),
    audit: ({ productId }) => `product:${productId}`,
  },
  {
    what: "the row of an order that is held, deleted",
    kinds: ["ORDER_MISSING"],
    spoil: ({ held }) => query("DELETE FROM orders WHERE id = $1", [held[0]]),
    subject: ({ held }) => `order:${held[0]}`,
    audit: ({ held }) => `order:${held[0]}`,
  },
  {
    what: "the row of an order that is confirmed, deleted",
    kinds: ["ORDER_MISSING"],
    spoil: ({ sold }) => query("DELETE FROM orders WHERE id = $1", [sold[0]]),
    subject: ({ sold }) => `order:${sold[0]}`,
    audit: ({ sold }) => `order:${sold[0]}`,
  },
  {
    what: "everything of a confirmed order, deleted",
    kinds: ["ORDER_MISSING"],
    spoil: ({ sold }) =>
      query("WITH l AS (DELETE FROM order_lines WHERE order_id = $1) DELETE FROM orders WHERE id = $1", [sold[1]]),
    audit: ({ sold }) => `order:${sold[1]}`,
  },
  {
    what: "a line of an order, deleted",
    kinds: ["ORDER_MISSING"],
    spoil: ({ held }) => query("DELETE FROM order_lines WHERE order_id = $1", [held[1]]),
    audit: ({ held }) => `order:${held[1]}`,
  },
  {
    what: "a movement of the ledger, deleted",
    kinds: ["MOVEMENT_LOST"],
    spoil: ({ saleId }) => query("DELETE FROM stock_movements WHERE sale_id = $1 AND seq = 3", [saleId]),
    subject: () => "log:1-3",
  },
];

describe("a partition that nobody touched", () => {
  it("is clean", async () => {
    const sale = await openSale();
    expect(await sale.figures()).toEqual(SOUND);
    expect(await sale.inspect()).toMatchObject({ type: "CLEAN", position: { epoch: 1 } });
    expect((await sale.reconcile(true)).repairs).toEqual([]);
  });
});

describe("found, planned and mended:", () => {
  it.each(CASES)("$what", async ({ kinds, spoil, subject, audit = partitionSubject }) => {
    const sale = await openSale();
    await spoil(sale);
    const plan = await sale.reconcile(false);
    if (plan.found.type !== "DRIFT") throw new Error(JSON.stringify(plan.found));
    expect(kindsOf(plan.found.drifts)).toEqual(kinds);
    if (subject) expect(plan.found.drifts.map(subjectOf)).toEqual([subject(sale)]);
    expect(plan.repairs).toEqual([]);
    expect(await sale.inspect()).toMatchObject({ type: "DRIFT" }); // planning changed nothing

    const done = await sale.reconcile(true);
    expect(done.repairs.map(({ done: isDone, how }) => [isDone, how])).toEqual(
      done.repairs.map(({ how }) => [true, how]),
    );
    expect(done.verdict).toMatchObject({ type: "CLEAN" });
    expect(await sale.figures()).toEqual(SOUND);
    const records = await listAudit(shop.pool, { subject: audit(sale), action: "stock.reconcile", limit: 10 });
    expect(records.length).toBeGreaterThan(0);
    expect(records[0]).toMatchObject({ actor: "cli:test" });

    // The partition sells on, and what was held can still be ended.
    const next = await sale.place(randomUUID(), 1, "tok_ok");
    await until(async () => expect((await findOrder(shop.pool, next))?.status).toBe("CONFIRMED"));
    expect(await sale.inspect()).toMatchObject({ type: "CLEAN" });
    expect(await findingsOf(sale.saleId)).toEqual([]);
  });
});

/** What the conservation proof finds wrong. */
async function findingsOf(saleId: string) {
  const deps = { pool: shop.pool, redis: shop.redis, stock: shop.engine.stock, key, version: "0.0.0-test" };
  const { text } = await proveSale(deps, saleId);
  return (await verifyProof(Buffer.from(text), key.publicKey)).findings.filter(({ holds }) => !holds);
}

describe("onrush stock reconcile", () => {
  it("plans, mends with --apply, and tells by its exit code", async () => {
    const sale = await openSale();
    await shop.redis.hincrby(sale.keys.stock, `${sale.productId}|a`, 7);
    const plan = await onrush("stock", "reconcile", "--sale", sale.saleId);
    expect(plan).toMatchObject({ code: 1, out: expect.stringContaining("STOCK_EDITED") });
    expect(plan.out).toContain("Nothing was changed");
    expect(await sale.figures()).toMatchObject({ available: 97 });

    const done = await onrush("stock", "reconcile", "--sale", sale.saleId, "--apply", "--json");
    expect(done.code).toBe(0);
    expect(JSON.parse(done.out)).toMatchObject([
      {
        saleId: sale.saleId,
        found: { verdict: "DRIFT", drifts: [{ kind: "STOCK_EDITED", redis: "97", expected: 90 }] },
        repairs: [{ kind: "STOCK_EDITED", done: true }],
        verdict: "CLEAN",
        left: 0,
      },
    ]);
    expect(await sale.figures()).toEqual(SOUND);
    expect(await onrush("stock", "reconcile", "--sale", sale.saleId)).toMatchObject({
      code: 0,
      out: expect.stringContaining("clean"),
    });
    await shop.redis.del(sale.keys.meta);
    expect(await onrush("stock", "reconcile", "--sale", sale.saleId)).toMatchObject({
      code: 1,
      out: expect.stringContaining("uncertain"),
    });
  });
});

function onrush(...args: string[]) {
  const env = { PATH: process.env["PATH"], REDIS_URL: redis.url, DATABASE_URL: database.url };
  return new Promise<{ code: number; out: string }>((resolve) => {
    execFile(process.execPath, [CLI, ...args], { env }, (error, out) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, out });
    });
  });
}
