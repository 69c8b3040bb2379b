// The cursor that follows the commits: nothing is skipped, in whatever order transactions commit.
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { dispatchEvents, summarizeTimeline } from "../../engine/webhooks/dispatch.ts";
import {
  changeWebhookEndpoint,
  createWebhookEndpoint,
  deleteWebhookEndpoint,
} from "../../engine/webhooks/operations.ts";
import { createTestDatabase } from "../support/postgres.ts";

vi.setConfig({ testTimeout: 60_000 });
const database = await createTestDatabase();
const pool = openPool(
  database.url,
  { connectionsMax: 10, applicationName: "dispatch", statementTimeoutMs: 10_000 },
  () => undefined,
);
const BY = { actor: "cli:test", allowPrivate: false };
const URL = "https://shop.example/hooks";

afterAll(() => pool.end());
afterEach(async () => {
  const left = await pool.query<{ id: string }>("SELECT id FROM webhook_endpoints WHERE deleted_at IS NULL");
  for (const { id } of left.rows) await deleteWebhookEndpoint(pool, id, BY);
});

async function step(db: pg.Pool | pg.PoolClient, version = 1, status = "PENDING", orderId: string = randomUUID()) {
  await db.query("INSERT INTO order_timeline (order_id, version, status) VALUES ($1, $2, $3)", [
    orderId,
    version,
    status,
  ]);
  return `evt_${orderId}_${version}`;
}

async function dispatchAll(stepsMax = 1_000, xactsMax = 1_000): Promise<void> {
  for (;;) {
    const { caughtUp } = await dispatchEvents(pool, xactsMax, stepsMax);
    if (caughtUp) return;
  }
}

async function told(endpointId: string): Promise<string[]> {
  const result = await pool.query<{ id: string }>(
    "SELECT event_id AS id FROM webhook_deliveries WHERE endpoint_id = $1 ORDER BY webhook_deliveries.id",
    [endpointId],
  );
  return result.rows.map(({ id }) => id);
}

/** Until the horizon is past everything that has committed: other databases of the server hold it back now and then. */
async function untilTold(endpointId: string, expected: readonly string[]): Promise<void> {
  await vi.waitFor(
    async () => {
      await dispatchAll();
      expect((await told(endpointId)).toSorted()).toEqual(expected.toSorted());
    },
    { timeout: 30_000, interval: 20 },
  );
}

/** Until everything that has committed is below the horizon. */
async function untilSettled(): Promise<void> {
  await vi.waitFor(
    async () => {
      const result = await pool.query<{ settled: boolean }>(
        "SELECT max(xact) < pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS settled FROM order_timeline",
      );
      expect(result.rows).toEqual([{ settled: true }]);
    },
    { timeout: 30_000, interval: 20 },
  );
}

test("a transaction that commits late is told when it has, and what came after it too", async () => {
  const { id } = await createWebhookEndpoint(pool, { url: URL }, BY);
  const slow = await pool.connect();
  await slow.query("BEGIN");
  const late = await step(slow);
  const early = await step(pool); // a higher number, committed first
  await dispatchAll();
  expect(await told(id)).toEqual([]);
  await slow.query("COMMIT");
  slow.release();
  await untilTold(id, [late, early]);
  await dispatchAll();
  expect(await told(id)).toHaveLength(2);
});

test("many writers, some of which roll back, beside a dispatcher in small bites", async () => {
  const { id } = await createWebhookEndpoint(pool, { url: URL, events: ["order.accepted"] }, BY);
  const expected: string[] = [];
  let writing = true;
  const writer = async (seed: number) => {
    for (let i = 0; i < 40; i += 1) {
      const client = await pool.connect();
      await client.query("BEGIN");
      const written = [];
      for (let n = 0; n <= (seed + i) % 5; n += 1) written.push(await step(client));
      const keeps = (seed + i) % 7 !== 0;
      await client.query(keeps ? "COMMIT" : "ROLLBACK");
      client.release();
      if (keeps) expected.push(...written);
    }
  };
  const dispatcher = async () => {
    while (writing) await dispatchEvents(pool, 3, 2);
  };
  const dispatching = Promise.all([dispatcher(), dispatcher()]);
  await Promise.all([1, 2, 3, 4, 5].map(writer));
  writing = false;
  await dispatching;
  await untilTold(id, expected);
});

test("only the steps that are events, to those who asked for them", async () => {
  const all = await createWebhookEndpoint(pool, { url: URL }, BY);
  const ends = await createWebhookEndpoint(pool, { url: URL, events: ["order.cancelled", "order.refunded"] }, BY);
  const orderId = randomUUID();
  const accepted = await step(pool, 1, "PENDING", orderId);
  for (const [at, status] of ["RESERVED", "PAYING", "PAID"].entries()) await step(pool, at + 2, status, orderId);
  const confirmed = await step(pool, 5, "CONFIRMED", orderId);
  await pool.query(
    `INSERT INTO order_timeline (order_id, version, status, fulfilment, refunded_amount)
     VALUES ($1, 6, 'CONFIRMED', 'packed', NULL), ($1, 7, 'CONFIRMED', NULL, 100)`,
    [orderId],
  );
  const refunded = await step(pool, 9, "REFUNDED", orderId);
  const cancelled = await step(pool, 4, "CANCELLED");
  await untilTold(all.id, [accepted, confirmed, refunded, cancelled]);
  expect((await told(ends.id)).toSorted()).toEqual([refunded, cancelled].toSorted());
});

test("an endpoint is told what commits once it is there, and nothing of the time when it was disabled", async () => {
  await step(pool);
  await untilSettled();
  const first = await createWebhookEndpoint(pool, { url: URL }, BY);
  const one = await step(pool);
  await untilTold(first.id, [one]);
  await changeWebhookEndpoint(pool, first.id, { enabled: false }, BY);
  await step(pool);
  await untilSettled();
  const second = await createWebhookEndpoint(pool, { url: URL }, BY);
  const two = await step(pool);
  await untilTold(second.id, [two]);
  await untilSettled();
  await changeWebhookEndpoint(pool, first.id, { enabled: true }, BY);
  const three = await step(pool);
  await untilTold(second.id, [two, three]);
  expect(await told(first.id)).toEqual([one, three]);
});

test("what is far back in the timeline is not read again", async () => {
  const { id } = await createWebhookEndpoint(pool, { url: URL }, BY);
  await pool.query(
    `INSERT INTO order_timeline (order_id, version, status)
     SELECT gen_random_uuid(), 2, 'RESERVED' FROM generate_series(1, 50000)`,
  );
  await vi.waitFor(dispatchAll, { timeout: 20_000 });
  await summarizeTimeline(pool);
  for (let i = 0; i < 10; i += 1) await pool.query("SELECT txid_current()");
  const last = await step(pool);
  await untilTold(id, [last]);
  const explained = await transaction(pool, async (client) => {
    const latest = await client.query<{ xact: number }>("SELECT max(xact) AS xact FROM order_timeline");
    await client.query("SET LOCAL enable_seqscan = off");
    return await client.query<{ "QUERY PLAN": string }>(
      "EXPLAIN (ANALYZE, TIMING off, COSTS off) SELECT FROM order_timeline WHERE xact >= $1",
      [latest.rows[0]?.xact],
    );
  });
  const plan = explained.rows.map((row) => row["QUERY PLAN"]).join("\n");
  expect(plan).toContain("Bitmap Index Scan on order_timeline_xact");
  const read = [...plan.matchAll(/Heap Blocks: lossy=(\d+)/g)].map(([, blocks]) => Number(blocks));
  expect(read[0]).toBeLessThan(60); // of some 500
});

test("numbers that go back, as after a restore from a dump, do not silence it", async () => {
  const { id } = await createWebhookEndpoint(pool, { url: URL }, BY);
  await dispatchAll();
  await pool.query("UPDATE webhook_cursor SET xact = xact + 1000000000");
  await pool.query("UPDATE webhook_endpoints SET from_xact = from_xact + 1000000000");
  expect(await dispatchEvents(pool, 1_000, 1_000)).toMatchObject({ restarted: true });
  const next = await step(pool);
  await untilTold(id, [next]);
});
