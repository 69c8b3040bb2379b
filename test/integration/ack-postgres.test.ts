// Waiting for the commit: ACK_MODE=postgres and `Prefer: wait=N`, over HTTP, with a persister and without one.
import { afterEach, describe, expect, it, vi } from "vitest";
import { createApp } from "../../api/app.ts";
import { Engine } from "../../engine/engine.ts";
import { CHANNELS } from "../../engine/keys.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { connect, subscriberConnection } from "../../engine/redis/connection.ts";
import { startPersister } from "../support/assembly.ts";
import { type Answer, type App, callApp, guest, openApiShop, RECEIPT_SECRET } from "./api-shop.ts";

const shop = await openApiShop();
const { saleId, productId } = await shop.sale({ stock: 10_000 });
const { pool, redis } = shop.deps;
const letGo: (() => void)[] = [];
afterEach(() => {
  for (const release of letGo.splice(0)) release();
});

/** An app whose engine waits for the commit of every order. */
async function patientApp(postgresWaitMs: number): Promise<{ app: App; engine: Engine }> {
  const engine = new Engine({ redis, pool, receiptSecret: RECEIPT_SECRET, ackMode: "postgres", postgresWaitMs });
  await engine.start();
  letGo.push(() => engine.stop());
  return { app: createApp({ ...shop.deps, engine }), engine };
}

const order = (app: App, headers: Record<string, string> = {}) =>
  callApp(app, "POST", "/api/v1/orders", {
    headers,
    body: { saleId, items: [{ productId, quantity: 1 }], payment: { method: "later" } },
  });
const acknowledgement = ({ status, body, headers }: Answer) => ({
  http: status,
  status: body.status,
  acknowledged: (body as unknown as { acknowledged: string }).acknowledged,
  applied: headers.get("preference-applied"),
});
const isInPostgres = async (answer: Answer) => (await findOrder(pool, answer.body.orderTrackingId)) !== undefined;

async function withPersister(work: () => Promise<void>): Promise<void> {
  const persister = await startPersister({ databaseUrl: shop.databaseUrl, redisUrl: shop.redis.url });
  try {
    await work();
  } finally {
    await persister.stop();
  }
}

describe("ACK_MODE=postgres", () => {
  it("answers 201 once the order is committed, as it was committed", async () => {
    const { app } = await patientApp(20_000);
    await withPersister(async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => order(app)));
      for (const answer of answers) {
        expect(acknowledgement(answer)).toEqual({
          http: 201,
          status: "RESERVED",
          acknowledged: "postgres",
          applied: null,
        });
        expect(answer.headers.get("location")).toBe(`/api/v1/orders/${answer.body.orderTrackingId}`);
        expect(await isInPostgres(answer)).toBe(true);
      }
    });
  });

  it("answers 202 past the deadline, with the level that was reached, when nobody commits", async () => {
    const { app } = await patientApp(200);
    const answer = await order(app);
    expect(acknowledgement(answer)).toEqual({ http: 202, status: "PENDING", acknowledged: "fsync", applied: null });
    expect(await isInPostgres(answer)).toBe(false);
  });

  it("waits for the commit of an order whose key is sent again, too", async () => {
    const { app } = await patientApp(20_000);
    const headers = { "idempotency-key": guest() };
    const first = await order(shop.app, headers);
    expect(acknowledgement(first)).toMatchObject({ http: 202, acknowledged: "fsync" });
    const again = order(app, headers);
    await withPersister(async () => {
      expect(acknowledgement(await again)).toMatchObject({
        http: 200,
        status: "RESERVED",
        acknowledged: "postgres",
      });
    });
  });

  it("is told of the commit by its event, without asking Postgres", async () => {
    const { app, engine } = await patientApp(20_000);
    const subscriber = subscriberConnection(shop.redis.url);
    subscriber.on("error", () => undefined);
    letGo.push(() => subscriber.disconnect());
    const heard = vi.spyOn(engine.commits, "hear");
    subscriber.on("message", (_channel, message: string) => engine.commits.hear(message));
    await connect(subscriber);
    await subscriber.subscribe(CHANNELS.orders);
    await withPersister(async () => {
      expect(acknowledgement(await order(app))).toMatchObject({ http: 201 });
      await vi.waitFor(() => expect(heard).toHaveBeenCalled());
    });
  });

  it("answers with what is known when the process stops", async () => {
    const { app, engine } = await patientApp(30_000);
    const waiting = order(app);
    await vi.waitFor(() => expect(engine.commits.waiting).toBe(1), { timeout: 5_000, interval: 5 });
    engine.commits.stop();
    expect(acknowledgement(await waiting)).toMatchObject({ http: 202, acknowledged: "fsync" });
  });
});

describe("Prefer: wait=N", () => {
  it("waits in any mode, and says that it did", async () => {
    await withPersister(async () => {
      expect(acknowledgement(await order(shop.app, { prefer: "respond-async, wait=20" }))).toEqual({
        http: 201,
        status: "RESERVED",
        acknowledged: "postgres",
        applied: "wait=20",
      });
    });
  });

  it("waits no longer than that", async () => {
    expect(acknowledgement(await order(shop.app, { prefer: "wait=1" }))).toEqual({
      http: 202,
      status: "PENDING",
      acknowledged: "fsync",
      applied: "wait=1",
    });
  });

  it.each(["wait=soon", "wait=-1", "wait=0", "wait", 'wait="1'])("is ignored when it is %j", async (prefer) => {
    expect(acknowledgement(await order(shop.app, { prefer }))).toEqual({
      http: 202,
      status: "PENDING",
      acknowledged: "fsync",
      applied: null,
    });
  });
});
