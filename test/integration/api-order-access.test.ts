import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { makeCustomerId } from "../../engine/members/users.ts";
import { makeOrderId } from "../../engine/order-id.ts";
import { accessToken, guest, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();

interface RowOptions {
  readonly customerId?: string;
  readonly status?: string;
  readonly method?: string;
  readonly onDecline?: string;
  readonly attempts?: number;
  readonly id?: string;
}

/** An order as the persister leaves it. */
async function insertOrder(saleId: string, productId: string, options: RowOptions = {}): Promise<string> {
  const { customerId = guest(), status = "RESERVED", method = "card", onDecline = "release", attempts = 0 } = options;
  const id = options.id ?? makeOrderId(shop.deps.engine.catalogue.sale(saleId)?.no ?? 1, 0, Date.now());
  await shop.pool.query(
    `WITH placed AS (
       INSERT INTO orders (id, sale_id, partition, epoch, seq, hold_reservation, customer_id, status, version, stock_state,
         price, payable, currency, payment_method, on_decline, payment_attempts, reserved_until, placed_at)
       VALUES ($1, $2, 0, 1, 1, 1, $3, $4, 2, 'reserved', 5000, 5000, 'KRW', $5, $6, $7, now() + interval '5 minutes',
         date_trunc('milliseconds', now()))
     ), lines AS (
       INSERT INTO order_lines VALUES ($1, 0, $8, 'Thing', 1, 5000)
     )
     INSERT INTO order_timeline (order_id, version, status) VALUES ($1, 1, 'PENDING'), ($1, 2, $4)`,
    [id, saleId, customerId, status, method, onDecline, attempts, productId],
  );
  return id;
}
const jobsOf = async (queue: string, orderId: string) => {
  const result = await shop.pool.query<{ data: unknown }>(
    "SELECT data FROM pgboss.job WHERE name = $1 AND data->'orderIds' ? $2",
    [queue, orderId],
  );
  return result.rows.length;
};
const { saleId, productId } = await shop.sale({ stock: 1_000 });
const place = async (extra: object = {}, token?: string) => {
  const answer = await shop.call("POST", "/api/v1/orders", {
    body: { saleId, items: [{ productId, quantity: 1 }], ...extra },
    token,
  });
  return answer.body.orderTrackingId as string;
};

describe("reading an order", () => {
  test("a guest's is known by its id; a member's is shown to the member and operators only", async () => {
    const me = makeCustomerId();
    const mine = await accessToken(me);
    const stranger = await accessToken(makeCustomerId());
    const support = await accessToken(makeCustomerId(), ["support"]);
    const read = (id: string, token?: string) => shop.call("GET", `/api/v1/orders/${id}`, { token });
    for (const id of [await place({}, mine), await insertOrder(saleId, productId, { customerId: me })]) {
      expect((await read(id, mine)).status).toBe(200);
      expect((await read(id, support)).status).toBe(200);
      expect((await read(id)).body.code).toBe("NOT_FOUND");
      expect((await read(id, stranger)).body.code).toBe("NOT_FOUND");
      expect((await read(id, "x")).status).toBe(401);
      for (const action of ["cancel", "payments"]) {
        const body = { method: "card" };
        expect((await shop.call("POST", `/api/v1/orders/${id}/${action}`, { body, token: stranger })).status).toBe(404);
      }
    }
    const guests = await place();
    expect((await read(guests)).status).toBe(200);
    expect((await read(guests.toUpperCase())).status).toBe(200);
  });

  test.each(["x", "%00", "%ZZ", "..%2f", randomUUID(), makeOrderId(1, 255, 0), makeOrderId(999_999, 0, 0), "é"])(
    "%s is not there",
    async (id) => {
      const answer = await shop.call("GET", `/api/v1/orders/${id}`);
      expect([answer.status, answer.body.code]).toEqual([404, "NOT_FOUND"]);
    },
  );

  test("one's own are listed newest first, page by page", async () => {
    const me = makeCustomerId();
    const token = await accessToken(me);
    const no = shop.deps.engine.catalogue.sale(saleId)?.no ?? 1;
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) {
      ids.unshift(
        await insertOrder(saleId, productId, { customerId: me, id: makeOrderId(no, 0, 1_700_000_000_000 + i * 1_000) }),
      );
    }
    const seen: string[] = [];
    let cursor = "";
    for (let pages = 0; pages < 3; pages += 1) {
      const { body } = await shop.call("GET", `/api/v1/orders?limit=2${cursor}`, { token });
      seen.push(...body.items.map((order: { orderTrackingId: string }) => order.orderTrackingId));
      cursor = `&cursor=${body.nextCursor}`;
      expect(body.nextCursor === undefined).toBe(pages === 2);
    }
    expect(seen).toEqual(ids);
    await shop.pool.query("UPDATE orders SET status = 'CONFIRMED', stock_state = 'sold' WHERE id = $1", [ids[1]]);
    await shop.pool.query("UPDATE orders SET placed_at = '2020-05-05' WHERE id = $1", [ids[2]]);
    const found = async (query: string) => {
      const { body } = await shop.call("GET", `/api/v1/orders?${query}`, { token });
      return body.items.map((order) => order.orderTrackingId);
    };
    expect(await found("status=CONFIRMED,REFUNDED")).toEqual([ids[1]]);
    expect(await found("from=2020-05-01T00:00:00Z&to=2020-06-01T00:00:00Z")).toEqual([ids[2]]);
    expect((await found(`saleId=${saleId}`)).toSorted()).toEqual(ids.toSorted());
    expect(await found("saleId=other")).toEqual([]);
    for (const query of ["status=PAID,x", "from=yesterday", "saleId="]) {
      expect((await shop.call("GET", `/api/v1/orders?${query}`, { token })).body.code).toBe("VALIDATION");
    }
    expect((await shop.call("GET", "/api/v1/orders")).status).toBe(401);
    expect((await shop.call("GET", "/api/v1/orders?cursor=x", { token })).body.code).toBe("VALIDATION");
  });
});

describe("cancelling", () => {
  const cancel = (id: string, token?: string) => shop.call("POST", `/api/v1/orders/${id}/cancel`, { token });

  test("a reserved order goes to CANCELLING, and the job to give its units back commits with it", async () => {
    const id = await insertOrder(saleId, productId);
    const answer = await cancel(id);
    expect(answer.status).toBe(202);
    expect(answer.body).toMatchObject({ status: "CANCELLING", reason: "CUSTOMER", version: 3 });
    expect(await jobsOf("compensation", id)).toBe(1);
    expect((await cancel(id)).body).toMatchObject({ code: "INVALID_STATE", orderStatus: "CANCELLING" });
    expect(await jobsOf("compensation", id)).toBe(1);
  });

  test("by an operator it is the operator's", async () => {
    const id = await insertOrder(saleId, productId, { customerId: makeCustomerId() });
    expect((await cancel(id, shop.admin)).body).toMatchObject({ status: "CANCELLING", reason: "OPERATOR" });
  });

  test("one whose payment is under way, too; the payment is left to itself", async () => {
    const id = await insertOrder(saleId, productId, { status: "PAYING", attempts: 1 });
    await shop.pool.query(
      "INSERT INTO payment_attempts (order_id, attempt, method, token, amount, currency) VALUES ($1, 1, 'card', 'tok_ok', 5000, 'KRW')",
      [id],
    );
    expect((await cancel(id)).body).toMatchObject({ status: "CANCELLING", reason: "CUSTOMER", version: 3 });
    const attempts = await shop.pool.query(
      "SELECT state, token, late_since IS NOT NULL AS late FROM payment_attempts WHERE order_id = $1",
      [id],
    );
    expect(attempts.rows).toEqual([{ state: "started", token: null, late: true }]);
    expect(await jobsOf("compensation", id)).toBe(1);
  });

  test.each(["PAID", "CONFIRMED", "CANCELLED", "REFUNDED"])("one that is %s: 409", async (status) => {
    const answer = await cancel(await insertOrder(saleId, productId, { status }));
    expect([answer.status, answer.body.code]).toEqual([409, "INVALID_STATE"]);
  });

  test("one that is on its way to Postgres leaves the wish for the persister", async () => {
    const id = await place();
    const answer = await cancel(id);
    expect([answer.status, answer.body.status]).toEqual([202, "PENDING"]);
    const wishes = await shop.pool.query("SELECT intent, reason FROM order_intents WHERE order_id = $1", [id]);
    expect(wishes.rows).toEqual([{ intent: "cancel", reason: "CUSTOMER" }]);
    expect((await cancel(id)).status).toBe(202);
  });

  test("one that arrives in Postgres while the wish is written is cancelled there", async () => {
    const id = await place();
    await shop.pool.query(
      `CREATE FUNCTION arrive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO orders (id, sale_id, partition, epoch, seq, hold_reservation, customer_id, status, version, stock_state,
           price, payable, currency, payment_method, reserved_until, placed_at)
         VALUES (NEW.order_id, '${saleId}', 0, 1, 1, 1, '${guest()}', 'RESERVED', 2, 'reserved', 1, 1, 'KRW', 'card', now(), now());
         RETURN NULL;
       END $$`,
    );
    await shop.pool.query("CREATE TRIGGER arrive AFTER INSERT ON order_intents FOR EACH ROW EXECUTE FUNCTION arrive()");
    try {
      expect((await cancel(id)).body).toMatchObject({ status: "CANCELLING" });
    } finally {
      await shop.pool.query("DROP FUNCTION arrive CASCADE");
    }
    const wishes = await shop.pool.query("SELECT 1 FROM order_intents WHERE order_id = $1", [id]);
    expect(wishes.rows).toEqual([]);
    expect(await jobsOf("compensation", id)).toBe(1);
  });
});

describe("paying later", () => {
  const pay = (id: string, body: unknown = { method: "card", token: "tok_ok" }) =>
    shop.call("POST", `/api/v1/orders/${id}/payments`, { body });

  test("stores how to pay, and the job commits with it; the second try is too late", async () => {
    const id = await insertOrder(saleId, productId, { method: "later" });
    const answers = await Promise.all([pay(id), pay(id)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409]);
    const row = await shop.pool.query("SELECT payment_method, payment_token FROM orders WHERE id = $1", [id]);
    expect(row.rows).toEqual([{ payment_method: "card", payment_token: "tok_ok" }]);
    expect(await jobsOf("payment", id)).toBe(1);
  });

  test("again after a decline, where the sale holds declined orders", async () => {
    expect((await pay(await insertOrder(saleId, productId, { onDecline: "hold", attempts: 1 }))).status).toBe(202);
    expect((await pay(await insertOrder(saleId, productId, { onDecline: "hold" }))).body.code).toBe("INVALID_STATE");
    expect((await pay(await insertOrder(saleId, productId))).body.code).toBe("INVALID_STATE");
  });

  test("until the reservation ends, also where no sweep has ended it yet", async () => {
    const id = await insertOrder(saleId, productId, { method: "later" });
    await shop.pool.query("UPDATE orders SET reserved_until = now() - interval '1 s' WHERE id = $1", [id]);
    expect((await pay(id)).body).toMatchObject({
      code: "INVALID_STATE",
      orderStatus: "RESERVED",
      reservedUntil: expect.stringMatching(/^20/),
    });
    expect(await jobsOf("payment", id)).toBe(0);
  });

  test("on the way to Postgres leaves the wish, for an order that is to be paid later", async () => {
    const id = await place({ payment: { method: "later" } });
    expect((await pay(id)).status).toBe(202);
    const wishes = await shop.pool.query("SELECT intent, method, token FROM order_intents WHERE order_id = $1", [id]);
    expect(wishes.rows).toEqual([{ intent: "pay", method: "card", token: "tok_ok" }]);
    expect((await pay(await place())).body.code).toBe("INVALID_STATE");
  });

  test.each([{}, { method: "later" }, { method: "card", token: "" }, { method: "card", token: 1 }])(
    "%j is no payment",
    async (body) => {
      const answer = await pay(await insertOrder(saleId, productId, { method: "later" }), body);
      expect([answer.status, answer.body.code]).toEqual([400, "VALIDATION"]);
    },
  );
});
