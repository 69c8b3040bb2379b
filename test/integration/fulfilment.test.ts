// The fulfilment of confirmed orders: forward only, each step once however many say it, and seen by whoever watches.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { transition } from "../../engine/ledger/fates.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { makeOrderId } from "../../engine/order-id.ts";
import { type Answer, accessToken } from "./api-shop.ts";
import { dropClients, open, openStatusShop, type Served, until } from "./ws-shop.ts";

const shop = await openStatusShop();
const WAYS = { CONFIRMED: 5, RESERVED: 2, CANCELLED: 4, REFUND_PENDING: 6, REFUNDED: 7 } as const;
let sale: { saleId: string; productId: string };
let served: Served;

beforeAll(async () => {
  sale = await shop.sale({ stock: 1_000 });
  // Versions are not compared here: steps are seen because they are announced.
  served = await shop.serve({ checkMs: 3_600_000 });
});
afterAll(() => dropClients());

/** An order as the ledger has it at the end of its way. */
async function orderThatIs(status: keyof typeof WAYS = "CONFIRMED", customerId = makeCustomerId()): Promise<string> {
  const id = makeOrderId(shop.deps.engine.catalogue.sale(sale.saleId)?.no ?? 1, 0, Date.now());
  await shop.pool.query(
    `WITH placed AS (
       INSERT INTO orders (id, sale_id, partition, epoch, seq, hold_reservation, customer_id, status, version, stock_state,
         price, payable, currency, payment_method, reserved_until, placed_at)
       VALUES ($1, $2, 0, 1, 1, 1, $3, $4, $5, 'sold', 5000, 5000, 'KRW', 'card', now(), now())
     ), lines AS (
       INSERT INTO order_lines VALUES ($1, 1, $6, '커피', 1, 5000)
     )
     INSERT INTO order_timeline (order_id, version, status)
     SELECT $1, n, CASE WHEN n = $5 THEN $4 ELSE 'PAYING' END FROM generate_series(1, $5::int) n`,
    [id, sale.saleId, customerId, status, WAYS[status], sale.productId],
  );
  return id;
}

const fulfil = (id: string, body: unknown, token = shop.admin) =>
  shop.call("POST", `/api/v1/orders/${id}/fulfilment`, { token, body });

const step = (version: number, state: string, reference: string | null) => ({
  version,
  status: "CONFIRMED",
  at: expect.any(String),
  fulfilment: { state, reference },
});

async function trail(id: string) {
  const { body } = await shop.call("GET", `/api/v1/admin/audit?subject=order:${id}&action=order.fulfil`, {
    token: shop.admin,
  });
  return body.items as unknown as { actor: string; before: unknown; after: unknown }[];
}

describe("a confirmed order", () => {
  test("is packed, shipped and delivered: for GET, lists, the search, the timeline and the trail", async () => {
    const me = makeCustomerId();
    const id = await orderThatIs("CONFIRMED", me);
    expect((await shop.read(id, shop.admin)) as unknown).toMatchObject({ version: 5, fulfilment: null });
    const packed = await fulfil(id, { state: "packed" });
    expect([packed.status, packed.body]).toMatchObject([200, { version: 6, fulfilment: { state: "packed" } }]);
    await fulfil(id, { state: "shipped", reference: "6012-3456-7890" });
    const delivered = await fulfil(id.toUpperCase(), { state: "delivered" });
    const order = await shop.read(id, shop.admin);
    expect(delivered.body).toEqual(order);
    expect(order as unknown).toMatchObject({
      status: "CONFIRMED",
      version: 8,
      fulfilment: { state: "delivered", reference: null },
    });
    const { timeline, fulfilment } = order as unknown as { timeline: { at: string }[]; fulfilment: { at: string } };
    expect(timeline.slice(5)).toEqual([
      step(6, "packed", null),
      step(7, "shipped", "6012-3456-7890"),
      step(8, "delivered", null),
    ]);
    expect(timeline.at(-1)?.at).toBe(fulfilment.at);
    const admin = (await trail(id)).map(({ before, after }) => [before, after]);
    expect(admin).toEqual([
      [
        { fulfilment: { state: "shipped", reference: "6012-3456-7890" } },
        { fulfilment: { state: "delivered", reference: null }, version: 8 },
      ],
      [
        { fulfilment: { state: "packed", reference: null } },
        { fulfilment: { state: "shipped", reference: "6012-3456-7890" }, version: 7 },
      ],
      [{ fulfilment: null }, { fulfilment: { state: "packed", reference: null }, version: 6 }],
    ]);
    expect((await trail(id))[0]?.actor).toMatch(/^cus_/);

    const waiting = await orderThatIs("CONFIRMED", me);
    const search = async (query: string) => {
      const { body } = await shop.call("GET", `/api/v1/admin/orders?query=${me}${query}`, { token: shop.admin });
      return body.items as unknown as { orderTrackingId: string; fulfilment: unknown }[];
    };
    expect(await search("&fulfilment=delivered")).toMatchObject([{ orderTrackingId: id, fulfilment }]);
    expect(await search("&fulfilment=none")).toMatchObject([{ orderTrackingId: waiting, fulfilment: null }]);
    expect(await search("&fulfilment=shipped")).toEqual([]);
    const token = await accessToken(me);
    const mine = async (query: string) => (await shop.call("GET", `/api/v1/orders${query}`, { token })).body.items;
    expect(await mine("?fulfilment=delivered")).toEqual([order]);
    expect(await mine("?fulfilment=none")).toMatchObject([{ orderTrackingId: waiting, fulfilment: null }]);
    for (const path of ["/api/v1/orders", "/api/v1/admin/orders"]) {
      expect((await shop.call("GET", `${path}?fulfilment=lost`, { token: shop.admin })).body.code).toBe("VALIDATION");
    }
  });

  test("may skip a step, and never goes back", async () => {
    const id = await orderThatIs();
    expect((await fulfil(id, { state: "shipped", reference: "A" })).status).toBe(200);
    const back = await fulfil(id, { state: "packed" });
    expect([back.status, back.body]).toMatchObject([
      409,
      { code: "INVALID_STATE", orderStatus: "CONFIRMED", fulfilment: { state: "shipped", reference: "A" } },
    ]);
    expect((await fulfil(id, { state: "delivered" })).status).toBe(200);
    expect((await fulfil(id, { state: "shipped", reference: "A" })).status).toBe(409);
    expect(await shop.read(id, shop.admin)).toMatchObject({ version: 7 });
  });

  test("is told the same twice without effect; a reference may come later, and stays", async () => {
    const id = await orderThatIs();
    const said = [
      await fulfil(id, { state: "shipped" }),
      await fulfil(id, { state: "shipped" }),
      await fulfil(id, { state: "shipped", reference: "A" }),
      await fulfil(id, { state: "shipped", reference: "A" }),
      await fulfil(id, { state: "shipped" }),
      await fulfil(id, { state: "shipped", reference: "B" }),
    ];
    expect(said.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 409]);
    expect(said[1]?.body).toEqual(said[0]?.body);
    expect(said[4]?.body).toEqual(said[2]?.body);
    expect(await shop.read(id, shop.admin)).toMatchObject({ version: 7, fulfilment: { reference: "A" } });
    expect(await trail(id)).toHaveLength(2);
  });
});

describe("of two at once", () => {
  const effects = async (id: string) => {
    const rows = await shop.pool.query<{ version: number; fulfilment: string }>(
      "SELECT version, fulfilment FROM order_timeline WHERE order_id = $1 AND fulfilment IS NOT NULL ORDER BY version",
      [id],
    );
    return rows.rows;
  };
  const codes = (answers: readonly Answer[]) => answers.map(({ status }) => status).sort();

  test("who name different parcels, one has an effect", async () => {
    for (let round = 0; round < 10; round += 1) {
      const id = await orderThatIs();
      const parcels = ["A", "B", "C", "D", "E", "F"];
      const answers = await Promise.all(parcels.map((reference) => fulfil(id, { state: "shipped", reference })));
      expect(codes(answers)).toEqual([200, 409, 409, 409, 409, 409]);
      const [winner] = answers.filter(({ status }) => status === 200);
      expect(await shop.read(id, shop.admin)).toEqual(winner?.body);
      expect(await effects(id)).toEqual([{ version: 6, fulfilment: "shipped" }]);
      expect(await trail(id)).toHaveLength(1);
    }
  });

  test("who say the same, both are answered, and it happens once", async () => {
    const id = await orderThatIs();
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => fulfil(id, { state: "shipped", reference: "A" })),
    );
    expect(codes(answers)).toEqual([200, 200, 200, 200, 200, 200]);
    expect(await effects(id)).toEqual([{ version: 6, fulfilment: "shipped" }]);
    expect(await trail(id)).toHaveLength(1);
  });

  test("who say different steps, it goes forward, without a gap in the versions", async () => {
    const order = ["packed", "shipped", "delivered"];
    for (let round = 0; round < 10; round += 1) {
      const id = await orderThatIs();
      const answers = await Promise.all([...order, ...order].reverse().map((state) => fulfil(id, { state })));
      for (const { status } of answers) expect([200, 409]).toContain(status);
      const steps = await effects(id);
      expect(steps.map(({ version }) => version)).toEqual(steps.map((_, i) => 6 + i));
      const places = steps.map(({ fulfilment }) => order.indexOf(fulfilment));
      expect(places).toEqual([...new Set(places)].sort());
      expect(places.at(-1)).toBe(2);
    }
  });

  test("one of whom refunds the order, it is fulfilled before that or not at all", async () => {
    for (let round = 0; round < 10; round += 1) {
      const id = await orderThatIs();
      const [answer, refunded] = await Promise.all([
        fulfil(id, { state: "shipped" }),
        transition(shop.pool, "refund", [id]),
      ]);
      expect(refunded).toHaveLength(1);
      const steps = await effects(id);
      expect(steps).toEqual(answer?.status === 200 ? [{ version: 6, fulfilment: "shipped" }] : []);
      expect(refunded[0]?.version).toBe(6 + steps.length);
    }
  });
});

describe("a socket that watches", () => {
  test("sees every step, in order, and in the end what GET shows", async () => {
    const token = shop.admin;
    const id = await shop.order(sale);
    const client = await open(served.url);
    client.subscribe(`orders/${id}`);
    await shop.process();
    await client.until(() => client.story(id).includes("5 CONFIRMED"));
    await shop.halt();
    for (const [n, state] of ["packed", "shipped", "delivered"].entries()) {
      expect((await fulfil(id, { state, ...(n === 1 && { reference: "A" }) }, token)).status).toBe(200);
    }
    await client.until(() => client.story(id).includes("8 CONFIRMED"));
    const states = client.states(`orders/${id}`);
    expect(states.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].slice(-states.length));
    const seen = states.map(({ data }) => (data as unknown as { fulfilment: { state: string } | null }).fulfilment);
    expect(seen.map((of) => of?.state ?? null).slice(-4)).toEqual([null, "packed", "shipped", "delivered"]);
    const order = await shop.read(id);
    expect(states.at(-1)?.data).toEqual(order);

    // Who comes back with an older version gets the steps as they were.
    const again = await open(served.url);
    again.subscribe(`orders/${id}`, 5);
    await until(() => again.states(`orders/${id}`).length === 3);
    expect(again.states(`orders/${id}`).slice(0, 2)).toMatchObject([
      { version: 6, data: { version: 6, fulfilment: { state: "packed", reference: null } } },
      { version: 7, data: { version: 7, fulfilment: { state: "shipped", reference: "A" } } },
    ]);
    expect(again.states(`orders/${id}`)[2]?.data).toEqual(order);
  });
});

describe("it is refused", () => {
  test.each(["RESERVED", "CANCELLED", "REFUND_PENDING", "REFUNDED"] as const)(
    "for an order that is %s",
    async (status) => {
      const id = await orderThatIs(status);
      const answer = await fulfil(id, { state: "packed" });
      expect([answer.status, answer.body]).toMatchObject([409, { code: "INVALID_STATE", orderStatus: status }]);
      expect(await shop.read(id, shop.admin)).toMatchObject({ status, version: WAYS[status], fulfilment: null });
      expect(await trail(id)).toEqual([]);
    },
  );

  test("for one that only Redis has, and for one that is nowhere", async () => {
    const pending = await fulfil(await shop.order(sale), { state: "packed" });
    expect([pending.status, pending.body]).toMatchObject([409, { code: "INVALID_STATE", orderStatus: "PENDING" }]);
    for (const id of [makeOrderId(1, 0, 0), "x", "%00"]) {
      expect((await fulfil(id, { state: "packed" })).body.code).toBe("NOT_FOUND");
    }
  });

  test("to whoever is no administrator, before anything else is looked at", async () => {
    const id = await orderThatIs();
    const support = await accessToken(makeCustomerId(), ["support"]);
    expect((await fulfil(id, "{", support)).status).toBe(403);
    expect((await fulfil(id, { state: "packed" }, await accessToken(makeCustomerId()))).status).toBe(403);
    expect((await shop.call("POST", `/api/v1/orders/${id}/fulfilment`, { body: { state: "packed" } })).status).toBe(
      401,
    );
  });

  test.each([
    {},
    { state: "lost" },
    { state: "SHIPPED" },
    { state: ["shipped"] },
    { state: "shipped", reference: "" },
    { state: "shipped", reference: 7 },
    { state: "shipped", reference: "x".repeat(201) },
    { state: "shipped", reference: "a\0" },
    '{"state":"shipped","reference":"\\ud800"}',
    [],
    null,
    "{",
  ])("for %j", async (body) => {
    const id = await orderThatIs();
    const answer = await fulfil(id, body);
    expect([answer.status, answer.body.code]).toEqual([400, "VALIDATION"]);
    expect(await shop.read(id, shop.admin)).toMatchObject({ version: 5, fulfilment: null });
  });
});
