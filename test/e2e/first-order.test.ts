// A new user's first minutes, against everything that `npm start` runs: real processes, HTTP from outside.
import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { RuntimeFile } from "../../runtime/data-directory.ts";
import {
  type InstancePlace,
  type InstanceProcess,
  instancePlace,
  REAL_ENTRY,
  startInstance,
} from "../support/instance.ts";

const COFFEE = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const PIZZA = "3c4d5e6f-7081-92a3-b4c5-def678901234";
const PASTA = "4d5e6f70-8192-a3b4-c5d6-ef7890123456";
const PASSWORD = "an administrator's password";

let place: InstancePlace;
let instance: InstanceProcess;
let runtime: RuntimeFile;
let adminToken: string;

beforeAll(async () => {
  place = await instancePlace();
  instance = startInstance(place, { ADMIN_PASSWORD: PASSWORD, LOG_LEVEL: "warn" }, REAL_ENTRY);
  runtime = await instance.untilReady();
  const login = await call("POST", "/auth/login", { email: "admin@onrush.local", password: PASSWORD });
  adminToken = login.body.accessToken;
});
afterAll(async () => {
  instance.signalGroup("SIGTERM");
  expect(await instance.exited).toBe(0);
  place.remove();
});

/** A body's members as the tests below need them; each use asserts what it is. */
interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: {
    readonly id: string;
    readonly accessToken: string;
    readonly orderTrackingId: string;
    readonly code?: string;
    readonly status?: string;
    readonly reason?: string;
    readonly items: readonly { readonly remaining: number }[];
  };
}

async function call(method: string, path: string, body?: unknown, token?: string): Promise<Answer> {
  const response = await fetch(`${runtime.apiUrl}/api/v1${path}`, {
    method,
    headers: { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Answer["body"], headers: response.headers };
}

const until = (assertion: () => Promise<void>, timeout = 20_000) => vi.waitFor(assertion, { timeout, interval: 20 });

async function expectStatus(orderId: string, status: string, timeout?: number) {
  await until(async () => expect((await call("GET", `/orders/${orderId}`)).body.status).toBe(status), timeout);
}

async function openSale(
  stock: number,
  extra: Record<string, unknown> = {},
): Promise<{ id: string; productId: string }> {
  const product = await call("POST", "/products", { name: "한정판", price: 1_000 }, adminToken);
  const productId = product.body.id;
  const items = [{ productId, stock }];
  const opensAt = new Date(0).toISOString();
  const sale = await call("POST", "/sales", { name: "한정 판매", opensAt, items, ...extra }, adminToken);
  expect(sale.status).toBe(201);
  return { id: sale.body.id, productId };
}

const order = (sale: { id: string; productId: string }, payment: Record<string, string>) =>
  call("POST", "/orders", {
    saleId: sale.id,
    customerId: randomUUID(),
    items: [{ productId: sale.productId, quantity: 1 }],
    payment,
  });

async function remaining(sale: { id: string }): Promise<number> {
  const { body } = await call("GET", `/sales/${sale.id}`);
  return body.items[0]?.remaining ?? Number.NaN;
}

/** The ledger's row of the sale's one product. */
async function ledger(sale: { id: string }) {
  const client = new pg.Client({ connectionString: runtime.databaseUrl });
  await client.connect();
  try {
    const sql = "SELECT allocated::int, reserved::int, sold::int FROM stock WHERE sale_id = $1";
    return (await client.query(sql, [sale.id])).rows[0];
  } finally {
    await client.end();
  }
}

describe("a new user", () => {
  it("orders three coffees as the README says, and they are confirmed within two seconds", async () => {
    const accepted = await call("POST", "/orders", {
      customerId: "3fa85f64-5717-4562-b3fc-2c963f66afa6",
      price: 15_000,
      items: [{ productId: COFFEE, quantity: 3, price: 5_000 }],
      address: { street: "123 Main St", postalCode: "12345", city: "Seoul" },
    });
    expect(accepted.status).toBe(202);
    expect(accepted.body).toMatchObject({ status: "PENDING", price: 15_000, currency: "KRW", acknowledged: "fsync" });
    expect(accepted.headers.get("location")).toBe(`/api/v1/orders/${accepted.body.orderTrackingId}`);
    await expectStatus(accepted.body.orderTrackingId, "CONFIRMED", 2_000);
  });

  it("orders a pizza and two pastas for 61000", async () => {
    const accepted = await call("POST", "/orders", {
      customerId: "3fa85f64-5717-4562-b3fc-2c963f66afa6",
      price: 61_000,
      items: [
        { productId: PIZZA, quantity: 1, price: 25_000 },
        { productId: PASTA, quantity: 2, price: 18_000 },
      ],
    });
    expect(accepted.status).toBe(202);
    await expectStatus(accepted.body.orderTrackingId, "CONFIRMED");
  });
});

describe("a sale", () => {
  it("of 60 units accepts exactly 60 of 100 orders that come at once", async () => {
    const sale = await openSale(60);
    const answers = await Promise.all(Array.from({ length: 100 }, () => order(sale, { method: "later" })));
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(60);
    expect(answers.filter(({ body }) => body.code === "SOLD_OUT")).toHaveLength(40);
    await until(async () => expect(await ledger(sale)).toEqual({ allocated: 60, reserved: 60, sold: 0 }));
    expect(await remaining(sale)).toBe(0);
  });

  it("gives a declined unit to the next buyer as soon as the order says CANCELLED", async () => {
    const sale = await openSale(1);
    const declined = await order(sale, { method: "card", token: "tok_declined" });
    await expectStatus(declined.body.orderTrackingId, "CANCELLED");
    const next = await order(sale, { method: "card", token: "tok_ok" });
    expect(next.status).toBe(202);
    await expectStatus(next.body.orderTrackingId, "CONFIRMED");
    expect(await ledger(sale)).toEqual({ allocated: 1, reserved: 0, sold: 1 });
  });

  it("sells an unpaid unit again after its deadline", async () => {
    const sale = await openSale(1, { reservationTtlSeconds: 5 });
    const unpaid = await order(sale, { method: "later" });
    expect((await order(sale, { method: "card" })).body.code).toBe("SOLD_OUT");
    await expectStatus(unpaid.body.orderTrackingId, "CANCELLED");
    const { body } = await call("GET", `/orders/${unpaid.body.orderTrackingId}`);
    expect(body.reason).toBe("EXPIRED");
    const next = await order(sale, { method: "card" });
    await expectStatus(next.body.orderTrackingId, "CONFIRMED");
    expect(await remaining(sale)).toBe(0);
  });

  it("takes a payment for an order that waits for one", async () => {
    const sale = await openSale(1);
    const waiting = await order(sale, { method: "later" });
    const id = waiting.body.orderTrackingId;
    await expectStatus(id, "RESERVED");
    expect((await call("POST", `/orders/${id}/payments`, { method: "card", token: "tok_ok" })).status).toBe(202);
    await expectStatus(id, "CONFIRMED");
  });

  it("gives a cancelled order's unit back", async () => {
    const sale = await openSale(1);
    const waiting = await order(sale, { method: "later" });
    const id = waiting.body.orderTrackingId;
    expect((await call("POST", `/orders/${id}/cancel`)).status).toBe(202);
    await expectStatus(id, "CANCELLED");
    expect(await remaining(sale)).toBe(1);
  });
});
