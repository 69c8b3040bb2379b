// `onrush dead`, by the real binary, beside a persister and a worker.
import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, it, vi } from "vitest";
import { listStock } from "../../engine/ledger/allocations.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { startPersister, startTestWorker } from "../support/assembly.ts";
import { openCliShop } from "./cli-shop.ts";

vi.setConfig({ testTimeout: 300_000 });
const WAIT = { timeout: 30_000, interval: 50 };
const shop = await openCliShop();
const { onrush, json, failure, pool, redis } = shop;
let persister = await startPersister(shop.servers);
const worker = await startTestWorker(shop.servers, { unsettledAfterMs: 200, sweepIntervalMs: 200 });

afterAll(async () => {
  await worker.stop();
  await persister.stop();
});

type Sale = { saleId: string; productId: string };
interface Letter {
  readonly id: number;
  readonly orderId: string | null;
  readonly kind: string;
  readonly error: string;
}

const letters = async (sale: Sale, state = "open") =>
  JSON.parse((await onrush("dead", "list", "--sale", sale.saleId, "--state", state, "--json")).out) as Letter[];

async function untilBuried(sale: Sale): Promise<Letter> {
  await vi.waitFor(async () => {
    const found = await pool.query("SELECT id FROM dead_letters WHERE sale_id = $1 AND state = 'open'", [sale.saleId]);
    expect(found.rows).toHaveLength(1);
  }, WAIT);
  return (await letters(sale))[0] as Letter;
}

/** An order that Postgres refuses: no text of it holds a NUL. */
async function placePoison(sale: Sale, method: "later" | "card" = "later"): Promise<string> {
  const placed = await shop.engine.place({
    saleId: sale.saleId,
    customerId: randomUUID(),
    items: [{ productId: sale.productId, quantity: 2 }],
    payment: { method },
    address: { street: "테헤란로 1\0", postalCode: "06236", city: "서울" },
  });
  return placed.orderId;
}

async function available(sale: Sale): Promise<number> {
  const snapshot = await shop.engine.stock.snapshot({ saleId: sale.saleId, partition: 0 });
  return snapshot.type === "OK" ? (snapshot.stock.get(sale.productId)?.available ?? -1) : -1;
}

/** Nothing of the sale is held, in the ledger nor by its movements, and nothing was set aside by the way. */
async function expectBalanced(sale: Sale, units: number): Promise<void> {
  await vi.waitFor(async () => expect(await available(sale)).toBe(units), WAIT);
  await vi.waitFor(async () => {
    const sums = await pool.query(
      `SELECT sum(CASE kind WHEN 'place' THEN quantity - refused WHEN 'release' THEN refused - quantity ELSE 0 END)::int
         AS ledger,
         sum(CASE kind WHEN 'place' THEN quantity WHEN 'release' THEN -quantity ELSE 0 END)::int AS redis
       FROM stock_movements WHERE sale_id = $1`,
      [sale.saleId],
    );
    expect(sums.rows).toEqual([{ ledger: 0, redis: 0 }]);
  }, WAIT);
  expect(await listStock(pool, sale.saleId)).toMatchObject([{ reserved: 0, sold: 0 }]);
  expect(await letters(sale)).toEqual([]);
  expect(await onrush("stock", "reconcile", "--sale", sale.saleId)).toMatchObject({ code: 0 });
}

describe("onrush dead", () => {
  it("replays an order into the ledger under its own number, and its payment is taken", async () => {
    const sale = await shop.openSale({ stock: 10 });
    const orderId = await placePoison(sale, "card");
    const letter = await untilBuried(sale);
    expect(letter).toMatchObject({ orderId, kind: "place" });
    const list = await onrush("dead", "list");
    expect(list.code).toBe(1);
    expect(list.out).toMatch(new RegExp(`^ *${letter.id} +${sale.saleId}\\.0 1-\\d+ +place +${orderId} +open`, "m"));
    const show = await onrush("dead", "show", String(letter.id));
    expect([show.code, show.out]).toEqual([0, expect.stringContaining("테헤란로")]);

    const done = await json("dead", "replay", String(letter.id), "--yes", "--reason", "NUL 제거");
    expect(done).toMatchObject({
      decided: [{ id: letter.id, state: "replayed", orders: [{ id: orderId }] }],
      refused: [],
    });
    await vi.waitFor(async () => {
      expect(await findOrder(pool, orderId)).toMatchObject({ status: "CONFIRMED", address: { street: "테헤란로 1" } });
    }, WAIT);
    expect(await listStock(pool, sale.saleId)).toMatchObject([{ allocated: 10, reserved: 0, sold: 2 }]);
    const again = await failure("dead", "replay", String(letter.id), "--yes");
    expect(again).toMatchObject({
      exit: 1,
      code: "INVALID_STATE",
      message: expect.stringContaining("replayed before"),
    });
    expect(await json("audit", "list", "--subject", `dead-letter:${letter.id}`)).toMatchObject([
      { action: "dead_letter.replay", reason: "NUL 제거", before: { orderId }, after: { orders: [{ id: orderId }] } },
    ]);
    expect(await letters(sale, "replayed")).toMatchObject([
      { id: letter.id, decidedBy: expect.stringMatching(/^cli:/) },
    ]);
  });

  it("discards an order that can be read as cancelled, and its units come back", async () => {
    const sale = await shop.openSale({ stock: 10, perCustomerLimit: 2 });
    const orderId = await placePoison(sale);
    const { id } = await untilBuried(sale);
    expect(await available(sale)).toBe(8);
    const done = await onrush("dead", "discard", String(id), "--reason", "요청", "--yes");
    expect([done.code, done.out]).toEqual([0, `${id}  discarded  ${orderId} is CANCELLING\n`]);
    await vi.waitFor(async () => {
      expect(await findOrder(pool, orderId)).toMatchObject({ status: "CANCELLED", reason: "OPERATOR" });
    }, WAIT);
    await expectBalanced(sale, 10);
  });

  it("releases the hold of one that cannot be read, and the release is no dead letter", async () => {
    const sale = await shop.openSale({ stock: 10 });
    const stream = `onrush:{${sale.saleId}.0}:stream`;
    await vi.waitFor(async () => {
      const at = await pool.query("SELECT seq::int FROM sale_partitions WHERE sale_id = $1", [sale.saleId]);
      expect(at.rows).toEqual([{ seq: 1 }]); // the initial allocation
    }, WAIT);
    await persister.stop();
    const { orderId } = await shop.place(sale, 3);
    const [[entry, fields] = ["", []]] = await redis.xrevrange(stream, "+", "-", "COUNT", 1);
    await redis.xdel(stream, entry);
    await redis.call("XSETID", stream, "1-1");
    const broken = fields.map((field) => (field.startsWith(orderId) ? `${orderId}|broken` : field));
    await redis.xadd(stream, entry, ...broken);
    persister = await startPersister(shop.servers);
    const { id } = await untilBuried(sale);
    expect(await failure("dead", "replay", String(id), "--yes")).toMatchObject({ exit: 1, code: "INVALID_STATE" });
    expect(await letters(sale)).toHaveLength(1);
    expect(await available(sale)).toBe(7);
    const done = await json("dead", "discard", "--all", "--sale", sale.saleId, "--reason", "읽을 수 없음", "--yes");
    expect(done).toMatchObject({ decided: [{ id, state: "discarded", orders: [], released: [orderId] }], refused: [] });
    await expectBalanced(sale, 10);
    expect(await findOrder(pool, orderId)).toBeUndefined();
  });

  it("refuses to replay what Redis does not hold any more; a discard then releases nothing", async () => {
    const sale = await shop.openSale({ stock: 4 });
    const orderId = await placePoison(sale);
    const { id } = await untilBuried(sale);
    await redis.hdel(`onrush:{${sale.saleId}.0}:held`, orderId); // as after a rebuild
    expect(await failure("dead", "replay", String(id), "--yes")).toMatchObject({ exit: 1, code: "INVALID_STATE" });
    expect(await json("dead", "discard", String(id), "--reason", "x", "--yes")).toMatchObject({
      decided: [{ state: "discarded", released: [] }],
    });
    expect(await available(sale)).toBe(2);
  });

  it("replays a release once the ledger agrees with it, and counts its units once", async () => {
    const sale = await shop.openSale({ stock: 4 });
    const { orderId } = await shop.place(sale, 3);
    await vi.waitFor(async () => expect(await findOrder(pool, orderId)).toMatchObject({ status: "RESERVED" }), WAIT);
    const reservation = (await findOrder(pool, orderId))?.holdReservation ?? 0;
    const shift = (by: number) =>
      pool.query("UPDATE orders SET hold_reservation = hold_reservation + $2 WHERE id = $1", [orderId, by]);
    await shift(1_000); // as a defect would
    await shop.engine.stock.release({ saleId: sale.saleId, partition: 0 }, 1, [{ orderId, reservation }]);
    const { id, kind } = await untilBuried(sale);
    expect(kind).toBe("release");
    expect(await failure("dead", "replay", String(id), "--yes")).toMatchObject({ exit: 1, code: "INVALID_STATE" });
    await shift(-1_000);
    expect(await json("dead", "replay", String(id), "--yes")).toMatchObject({ decided: [{ state: "replayed" }] });
    await expectBalanced(sale, 4);
  });

  it("leaves a hold alone that belongs to an order of the ledger", async () => {
    const sale = await shop.openSale({ stock: 4 });
    const { orderId } = await shop.place(sale);
    await vi.waitFor(async () => expect(await findOrder(pool, orderId)).toMatchObject({ status: "RESERVED" }), WAIT);
    const buried = await pool.query<{ id: string }>(
      `INSERT INTO dead_letters (sale_id, partition, epoch, seq, order_id, kind, payload, error)
       SELECT sale_id, partition, epoch, seq, id, 'place', '{}', 'an order of this id exists already' FROM orders
       WHERE id = $1 RETURNING id`,
      [orderId],
    );
    const id = buried.rows[0]?.id ?? "";
    expect(await json("dead", "discard", id, "--reason", "doubled", "--yes")).toMatchObject({
      decided: [{ state: "discarded", orders: [], released: [] }],
    });
    expect(await findOrder(pool, orderId)).toMatchObject({ status: "RESERVED" });
    expect(await available(sale)).toBe(3);
  });

  it("says what is wrong with how it was called", async () => {
    expect((await onrush("dead", "list", "--sale", "none")).out).toBe("There are no such dead letters.\n");
    const wrong = [
      ["replay"],
      ["replay", "x"],
      ["replay", "0"],
      ["replay", "1", "--all"],
      ["discard", "1"],
      ["discard", "1", "--reason", " "],
    ];
    for (const args of wrong) {
      expect({ args, ...(await failure("dead", ...args, "--yes")) }).toMatchObject({ args, exit: 2, code: "USAGE" });
    }
    expect(await failure("dead", "replay", "--all")).toMatchObject({ exit: 2, code: "USAGE" });
    expect(await failure("dead", "list", "--state", "lost")).toMatchObject({ exit: 2, code: "USAGE" });
    expect(await failure("dead", "show", "999999")).toMatchObject({ exit: 1, code: "NOT_FOUND" });
    expect(await failure("dead", "replay", "999999", "--yes")).toMatchObject({ exit: 1, code: "NOT_FOUND" });
    expect(await json("dead", "replay", "--all", "--sale", "none", "--yes")).toEqual({ decided: [], refused: [] });
  });
});
